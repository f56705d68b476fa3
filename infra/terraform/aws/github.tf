data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  arn     = "arn:${data.aws_partition.current.partition}"
  # Every resource of every stage begins with it: serverless.yml's service, and the parameters' path.
  service = "ai-gateway"
  issuer  = "token.actions.githubusercontent.com"
}

# AWS checks GitHub's certificate by its own list of authorities, so no thumbprint is given.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_github_provider ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "github_may_assume" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = ["${local.arn}:iam::${local.account}:oidc-provider/${local.issuer}"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = ["repo:${var.github_repository}:${var.github_subject}"]
    }
  }
}

# Its name does not begin with the service's, so that it cannot change itself.
resource "aws_iam_role" "deploy" {
  name                 = "github-deploys-${local.service}"
  description          = "GitHub Actions deploys the AI gateway"
  assume_role_policy   = data.aws_iam_policy_document.github_may_assume.json
  max_session_duration = 3600

  depends_on = [aws_iam_openid_connect_provider.github]
}
