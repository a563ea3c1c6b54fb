"""State: the seven tables, the bucket for large payloads and the secret that signs reservation tokens."""

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from pushlane.cdk.stage import is_local, removal_policy, tls_only
from pushlane.settings.stage import StageConfig

# From its upload, however long the task waits or lies dead; what is deleted with its tenant is deleted at once.
_CLAIM_DAYS = 400
_SECRET_CHARACTERS = 64


class State(Construct):
    """Everything that must outlive a deployment. Names are CloudFormation's, so that a replacement can stand beside."""

    def __init__(self, scope: Construct, construct_id: str, *, config: StageConfig) -> None:
        super().__init__(scope, construct_id)
        self._config = config
        self.tasks = self._table("Tasks", stream=True, expires=True)
        self.tasks.add_global_secondary_index(
            index_name="by_tenant",
            partition_key=_text("tenant_bucket"),
            sort_key=_number("accepted_at_ms"),
            projection_type=dynamodb.ProjectionType.INCLUDE,
            non_key_attributes=["tenant_id", "status", "task_type", "tier", "pool", "epoch"],
        )
        self.attempts = self._table("Attempts", stream=True)
        self.attempts.add_local_secondary_index(index_name="by_lease", sort_key=_number("lease_until_ms"))
        self.scheduler = self._table("Scheduler")
        self.scheduler.add_local_secondary_index(index_name="by_turn", sort_key=_text("turn_key"))
        self.scheduler.add_local_secondary_index(index_name="by_urgency", sort_key=_text("urgent_key"))
        self.scheduler.add_local_secondary_index(index_name="by_late", sort_key=_text("late_key"))
        self.configuration = self._table("Config")
        self.events = self._table("Events", expires=True)
        self.connections = self._table("Connections", expires=True)
        self.measures = self._table("Measures", expires=True)
        self.claims = self._bucket()
        self.signing_secret = self._secret()

    def _table(self, construct_id: str, *, stream: bool = False, expires: bool = False) -> dynamodb.Table:
        # The AWS-owned key encrypts at rest without a KMS request, and its price, on every access.
        return dynamodb.Table(
            self,
            construct_id,
            partition_key=_text("pk"),
            sort_key=_text("sk"),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.DEFAULT,
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES if stream else None,
            time_to_live_attribute="expires_at_s" if expires else None,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=self._config.point_in_time_recovery
            ),
            deletion_protection=self._config.retain_state,
            removal_policy=removal_policy(self._config),
        )

    def _bucket(self) -> s3.Bucket:
        # Emptying on delete is a custom resource that hangs on the emulator; a retained bucket must not be emptied.
        emptied = not self._config.retain_state and not is_local(self._config)
        return s3.Bucket(
            self,
            "Claims",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=tls_only(self._config),
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            lifecycle_rules=[_expiry("claims/")],
            removal_policy=removal_policy(self._config),
            auto_delete_objects=emptied,
        )

    def _secret(self) -> secretsmanager.Secret:
        return secretsmanager.Secret(
            self,
            "SigningSecret",
            description="Signs Pushlane's reservation tokens",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=_SECRET_CHARACTERS, exclude_punctuation=True
            ),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )


def _text(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.STRING)


def _number(name: str) -> dynamodb.Attribute:
    return dynamodb.Attribute(name=name, type=dynamodb.AttributeType.NUMBER)


def _expiry(prefix: str) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id=f"expire-{prefix.rstrip('/')}",
        prefix=prefix,
        expiration=cdk.Duration.days(_CLAIM_DAYS),
        abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
    )
