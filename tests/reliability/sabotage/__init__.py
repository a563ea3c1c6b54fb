"""Defects on purpose: each is a change of the product's code that the simulation must notice."""

from tests.reliability.sabotage.apply import Defect, DoesNotApply, Edit, sabotaged
from tests.reliability.sabotage.defects import DEFECTS

__all__ = ["DEFECTS", "Defect", "DoesNotApply", "Edit", "sabotaged"]
