# What `osls deploy` does for serverless.yml, on things whose names begin with the service's, in one region.
data "aws_iam_policy_document" "deploy" {
  statement {
    sid       = "Stacks"
    actions   = ["cloudformation:*"]
    resources = ["${local.arn}:cloudformation:${var.region}:${local.account}:stack/${local.service}-*/*"]
  }

  statement {
    sid       = "TemplatesAreCheckedBeforeTheyHaveAName"
    actions   = ["cloudformation:ValidateTemplate"]
    resources = ["*"]
  }

  statement {
    sid       = "Buckets"
    actions   = ["s3:*"]
    resources = ["${local.arn}:s3:::${local.service}-*"]
  }

  # Months of usage and ledger are no part of a deployment. Its settings are: this keeps a mistake from the archive, not
  # whoever rewrites the bucket's policy; a copy in another account does.
  statement {
    sid       = "NotTheArchive"
    effect    = "Deny"
    actions   = ["s3:DeleteBucket", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"]
    resources = ["${local.arn}:s3:::${local.service}-*-archivebucket-*"]
  }

  statement {
    sid     = "Functions"
    actions = ["lambda:*"]
    resources = [
      "${local.arn}:lambda:${var.region}:${local.account}:function:${local.service}-*",
    ]
  }

  # The Lambda Web Adapter, published by its own account.
  statement {
    sid       = "AdapterLayer"
    actions   = ["lambda:GetLayerVersion"]
    resources = ["${local.arn}:lambda:${var.region}:753240598075:layer:LambdaAdapterLayer*:*"]
  }

  # API Gateway has no names in its ARNs: within the account and the region it is all or nothing.
  statement {
    sid     = "Api"
    actions = ["apigateway:DELETE", "apigateway:GET", "apigateway:PATCH", "apigateway:POST", "apigateway:PUT"]
    resources = [
      "${local.arn}:apigateway:${var.region}::/domainnames*",
      "${local.arn}:apigateway:${var.region}::/restapis*",
      "${local.arn}:apigateway:${var.region}::/tags/*",
    ]
  }

  statement {
    sid       = "Schedules"
    actions   = ["events:*"]
    resources = ["${local.arn}:events:${var.region}:${local.account}:rule/${local.service}-*"]
  }

  statement {
    sid       = "Queues"
    actions   = ["sqs:*"]
    resources = ["${local.arn}:sqs:${var.region}:${local.account}:${local.service}-*"]
  }

  statement {
    sid       = "AlarmMails"
    actions   = ["sns:*"]
    resources = ["${local.arn}:sns:${var.region}:${local.account}:${local.service}-*"]
  }

  statement {
    sid       = "Alarms"
    actions   = ["cloudwatch:DeleteAlarms", "cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource", "cloudwatch:UntagResource"]
    resources = ["${local.arn}:cloudwatch:${var.region}:${local.account}:alarm:${local.service}-*"]
  }

  statement {
    sid       = "LogGroups"
    actions   = ["logs:*"]
    resources = ["${local.arn}:logs:${var.region}:${local.account}:log-group:/aws/lambda/${local.service}-*"]
  }

  statement {
    sid       = "LogGroupsAreFoundByListing"
    actions   = ["logs:DescribeLogGroups"]
    resources = ["*"]
  }

  # `infra.aws.secrets` writes what differs, so it reads first; and whoever deploys a function's code can read what that
  # function reads.
  statement {
    sid       = "Parameters"
    actions   = ["ssm:DeleteParameters", "ssm:GetParameters", "ssm:PutParameter"]
    resources = ["${local.arn}:ssm:${var.region}:${local.account}:parameter/${local.service}/*"]
  }

  statement {
    sid       = "ParametersAreListedByAccount"
    actions   = ["ssm:DescribeParameters"]
    resources = ["${local.arn}:ssm:${var.region}:${local.account}:*"]
  }
}

data "aws_iam_policy_document" "roles" {
  statement {
    sid       = "FunctionRolesInsideTheBoundary"
    actions   = ["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"]
    resources = ["${local.arn}:iam::${local.account}:role/${local.service}-*"]

    condition {
      test     = "StringEquals"
      variable = "iam:PermissionsBoundary"
      values   = [aws_iam_policy.functions.arn]
    }
  }

  statement {
    sid = "FunctionRoles"
    actions = [
      "iam:DeleteRole", "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies", "iam:ListRoleTags",
      "iam:TagRole", "iam:UntagRole", "iam:UpdateRole", "iam:UpdateRoleDescription",
    ]
    resources = ["${local.arn}:iam::${local.account}:role/${local.service}-*"]
  }

  statement {
    sid       = "FunctionRolesAreForLambda"
    actions   = ["iam:PassRole"]
    resources = ["${local.arn}:iam::${local.account}:role/${local.service}-*"]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["lambda.amazonaws.com"]
    }
  }

  # API Gateway makes its own role with an account's first custom domain.
  statement {
    sid       = "RoleOfApiGateway"
    actions   = ["iam:CreateServiceLinkedRole"]
    resources = ["${local.arn}:iam::${local.account}:role/aws-service-role/ops.apigateway.amazonaws.com/*"]

    condition {
      test     = "StringEquals"
      variable = "iam:AWSServiceName"
      values   = ["ops.apigateway.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "deploy" {
  name   = "deploy"
  role   = aws_iam_role.deploy.id
  policy = data.aws_iam_policy_document.deploy.json
}

resource "aws_iam_role_policy" "roles" {
  name   = "roles"
  role   = aws_iam_role.deploy.id
  policy = data.aws_iam_policy_document.roles.json
}
