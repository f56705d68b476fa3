"""The account that moto plays: what it must refuse, so that a deployment that passes here means something."""

import json
from collections.abc import Iterator

import pytest
from botocore.exceptions import ClientError

from infra.local.ports import choose_free_ports
from infra.local.processes import Processes
from tests.deploy.aws.account import Account
from tests.deploy.aws.moto_server import NAME, moto_service

MAY_READ_ONE = {
    "Statement": [{"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": "arn:aws:ssm:*:*:parameter/gw/ONE"}]
}
TEMPLATE = {
    "Resources": {
        "Role": {
            "Type": "AWS::IAM::Role",
            "Properties": {
                "RoleName": "reader",
                "AssumeRolePolicyDocument": {"Statement": []},
                "Policies": [{"PolicyName": "reads", "PolicyDocument": MAY_READ_ONE}],
            },
        }
    }
}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("account")
    processes = Processes(folder, folder)
    (port,) = choose_free_ports(1)
    try:
        processes.start(moto_service(port))
        processes.wait_ready(NAME)
        yield Account(port)
    finally:
        processes.stop(NAME)


def test_a_resource_that_cannot_be_made_is_not_passed_over(account: Account) -> None:
    client = account.client("cloudformation")
    template = {"Resources": {"Unknown": {"Type": "AWS::Nothing::Known", "Properties": {}}}}
    with pytest.raises(ClientError, match="AWS::Nothing::Known is to be added"):
        client.create_stack(StackName="unknown", TemplateBody=json.dumps(template))


def test_a_role_is_held_to_its_policy_and_to_its_signature(account: Account) -> None:
    account.client("cloudformation").create_stack(StackName="roles", TemplateBody=json.dumps(TEMPLATE))
    for name in ("ONE", "TWO"):
        account.client("ssm").put_parameter(Name=f"/gw/{name}", Value="value", Type="SecureString")
    role = account.assume_role("arn:aws:iam::123456789012:role/reader")
    store = role.client("ssm")
    assert len(store.get_parameters(Names=["/gw/ONE"], WithDecryption=True)["Parameters"]) == 1
    for names in (["/gw/TWO"], ["/gw/ONE", "/gw/TWO"]):
        with pytest.raises(ClientError, match="not authorized"):
            store.get_parameters(Names=names)
    forged = Account(role.port, role.access_key_id, "another secret", role.session_token)
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        forged.client("ssm").get_parameters(Names=["/gw/ONE"])
