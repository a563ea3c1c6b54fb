"""Typed settings of each Lambda function: an environment name is defined once, here, and CDK fills it from here."""
