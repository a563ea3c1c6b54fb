"""Synthesised templates as plain values, so that tests say what they expect of all resources of a kind."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Resource:
    """One resource of a template."""

    stack: str
    logical_id: str
    kind: str
    body: Mapping[str, Any]

    @property
    def properties(self) -> Mapping[str, Any]:
        properties: Mapping[str, Any] = self.body.get("Properties", {})
        return properties


@dataclass(frozen=True)
class Templates:
    """All stacks of one cloud assembly. References between stacks are followed through their exports."""

    folder: Path
    stacks: Mapping[str, Mapping[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> "Templates":
        files = sorted(folder.glob("*.template.json"))
        return cls(folder, {file.name.removesuffix(".template.json"): json.loads(file.read_text()) for file in files})

    def resources(self, kind: str = "", named: str = "") -> list[Resource]:
        """Resources of a CloudFormation type whose logical id contains `named`."""
        return [one for one in self._all() if one.kind == (kind or one.kind) and named in one.logical_id]

    def only(self, kind: str, named: str = "") -> Resource:
        (one,) = self.resources(kind, named)
        return one

    def target(self, value: Any, stack: str) -> Resource:
        """The resource that a Ref, GetAtt, cross-stack import or weak reference in `stack` points to."""
        if "Fn::GetStackOutput" in value:
            owner = value["Fn::GetStackOutput"]["StackName"]
            output = self.stacks[owner]["Outputs"][value["Fn::GetStackOutput"]["OutputName"]]
            return self.target(output["Value"], owner)
        if "Fn::ImportValue" in value:
            export = value["Fn::ImportValue"]
            owner = next(name for name in self.stacks if export.startswith(f"{name}:"))
            outputs = self.stacks[owner]["Outputs"].values()
            exported = next(one["Value"] for one in outputs if one.get("Export", {}).get("Name") == export)
            return self.target(exported, owner)
        logical_id = value["Ref"] if "Ref" in value else value["Fn::GetAtt"][0]
        return next(one for one in self._all() if one.stack == stack and one.logical_id == logical_id)

    def statements(self, role: Resource) -> list[dict[str, Any]]:
        """What a role's policies allow."""
        return [
            statement
            for policy in self.policies(role)
            for statement in policy.properties["PolicyDocument"]["Statement"]
        ]

    def policies(self, role: Resource) -> list[Resource]:
        """The policies of a role, those in later stacks included."""
        return [
            policy
            for policy in self.resources("AWS::IAM::Policy")
            if role in [self.target(one, policy.stack) for one in policy.properties["Roles"]]
        ]

    def role_of(self, function: Resource) -> Resource:
        return self.target(function.properties["Role"], function.stack)

    def outputs(self) -> dict[str, list[Any]]:
        """Output names that are no exports -> their values, one for each stack that has it."""
        found: dict[str, list[Any]] = {}
        for template in self.stacks.values():
            for name, output in template.get("Outputs", {}).items():
                if "Export" not in output:
                    found.setdefault(name, []).append(output["Value"])
        return found

    def _all(self) -> Iterator[Resource]:
        for stack, template in self.stacks.items():
            for logical_id, body in template.get("Resources", {}).items():
                yield Resource(stack, logical_id, body["Type"], body)


def actions(statement: Mapping[str, Any]) -> list[str]:
    """The actions of a policy statement as a list."""
    found = statement["Action"]
    return [found] if isinstance(found, str) else list(found)


def resource_values(statement: Mapping[str, Any]) -> list[Any]:
    """The resources of a policy statement as a list."""
    found = statement["Resource"]
    return list(found) if isinstance(found, list) else [found]
