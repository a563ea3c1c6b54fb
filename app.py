"""Entry point of the CDK app: `cdk deploy --all -c stage=dev` (see docs/deploy.md)."""

import aws_cdk as cdk

from stacks.composition import compose

if __name__ == "__main__":
    app = cdk.App()
    compose(app)
    app.synth()
