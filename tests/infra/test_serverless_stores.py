"""What outlives a deployment: the archive, the zips of earlier ones, the queue of the failed jobs."""

from typing import Any

from infra.aws.template import read_functions, read_template
from tests.infra.aws.serverless import resources

A_YEAR_DAYS = 365
TWO_WEEKS_S = 14 * 24 * 60 * 60


def archive() -> dict[str, Any]:
    properties: dict[str, Any] = resources()["ArchiveBucket"]["Properties"]
    return properties


def test_the_archive_and_its_policy_outlive_the_stack() -> None:
    for name in ("ArchiveBucket", "ArchiveBucketPolicy"):
        resource = resources()[name]
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_the_archive_is_private_and_encrypted() -> None:
    closed = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    assert archive()["PublicAccessBlockConfiguration"] == dict.fromkeys(closed, True)
    assert archive()["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    (encryption,) = archive()["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_the_archives_policy_only_denies_and_that_to_all_who_come_without_tls() -> None:
    policy = resources()["ArchiveBucketPolicy"]["Properties"]
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert policy["Bucket"] == {"Ref": "ArchiveBucket"}
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [{"Fn::GetAtt": ["ArchiveBucket", "Arn"]}, {"Fn::Sub": "${ArchiveBucket.Arn}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_an_overwritten_file_of_the_archive_can_be_had_back_for_a_year_and_no_file_goes_by_itself() -> None:
    assert archive()["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = archive()["LifecycleConfiguration"]["Rules"]
    assert set(rule) == {"Id", "Status", "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration"}
    assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": A_YEAR_DAYS}


def test_the_zips_of_the_last_ten_deployments_are_kept_and_not_public() -> None:
    bucket = read_template()["provider"]["deploymentBucket"]
    assert bucket == {"blockPublicAccess": True, "maxPreviousDeploymentArtifacts": 10}


def test_a_job_that_failed_on_every_attempt_waits_in_the_queue_for_two_weeks() -> None:
    scheduled = read_functions()["scheduled"].block
    assert scheduled["destinations"]["onFailure"] == {"type": "sqs", "arn": {"Fn::GetAtt": ["FailedJobs", "Arn"]}}
    assert resources()["FailedJobs"]["Properties"]["MessageRetentionPeriod"] == TWO_WEEKS_S
