"""The AWS account that moto plays, and who asks it."""

from dataclasses import dataclass, field
from typing import Any

import boto3

from infra.local.ports import LOOPBACK

REGION = "us-east-1"
ACCOUNT_ID = "123456789012"


@dataclass(frozen=True, slots=True)
class Account:
    """Where the account is and who asks: its administrator, or a function in its role."""

    port: int
    access_key_id: str = "administrator"
    secret_access_key: str = field(default="administrator", repr=False)
    session_token: str | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """The address of every service."""
        return f"http://{LOOPBACK}:{self.port}"

    def client(self, service: str, endpoint: str | None = None) -> Any:
        """Return a client of one service; Lambda also answers at an endpoint of its own, where functions run."""
        return boto3.client(
            service,
            endpoint_url=endpoint or self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            aws_session_token=self.session_token,
        )

    def assume_role(self, role_arn: str) -> "Account":
        """Return the account as a role sees it; moto checks the signatures and the permissions of roles alone."""
        session = self.client("sts").assume_role(RoleArn=role_arn, RoleSessionName="lambda")["Credentials"]
        return Account(self.port, session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])

    @property
    def environment(self) -> dict[str, str]:
        """The variables of AWS's own tools, and of functions, that lead to the account."""
        variables = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }
        return {**variables, "AWS_SESSION_TOKEN": self.session_token} if self.session_token else variables
