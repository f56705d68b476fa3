output "deploy_role_arn" {
  description = "For role-to-assume of aws-actions/configure-aws-credentials."
  value       = aws_iam_role.deploy.arn
}

output "permissions_boundary_arn" {
  description = "For `osls deploy --param permissionsBoundary=…`, without which the role may make no function's role."
  value       = aws_iam_policy.functions.arn
}
