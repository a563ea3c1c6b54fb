"""The CDK stacks, one bounded concern each. Constructs come from `pushlane.cdk`; a stack composes and names them."""
