# The most that a function's role can ever do, whatever a deployment writes into it. The deploy role can make no role
# without it: whoever takes over the repository's workflow gets the gateway and the region's API Gateway, not the account.
data "aws_iam_policy_document" "functions" {
  statement {
    sid       = "TheirLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${local.arn}:logs:${var.region}:${local.account}:log-group:/aws/lambda/${local.service}-*"]
  }

  statement {
    sid       = "TheirParameters"
    actions   = ["ssm:GetParameters"]
    resources = ["${local.arn}:ssm:${var.region}:${local.account}:parameter/${local.service}/*"]
  }

  statement {
    sid       = "TheirQueues"
    actions   = ["sqs:SendMessage"]
    resources = ["${local.arn}:sqs:${var.region}:${local.account}:${local.service}-*"]
  }

  statement {
    sid       = "TheirArchive"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.arn}:s3:::${local.service}-*-archivebucket-*/*"]
  }
}

resource "aws_iam_policy" "functions" {
  name        = "functions-of-${local.service}"
  description = "Permissions boundary of the AI gateway's functions"
  policy      = data.aws_iam_policy_document.functions.json
}
