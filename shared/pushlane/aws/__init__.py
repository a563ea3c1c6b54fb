"""The ports on AWS. Clients are passed in; nothing here makes one, and only this package and `wiring` know botocore."""
