output "dotenv" {
  description = "The variables as a file, for the steps that run on your own machine: terraform output -raw dotenv > .env"
  sensitive   = true
  value       = join("", [for name, value in local.environment : "${name}=${value}\n"])
}

output "project_ref" {
  description = "By which the supabase command line knows the project."
  value       = module.stores.project_ref
}

output "database_password" {
  description = "Of the owner of the tables, for `supabase db push`."
  sensitive   = true
  value       = module.stores.database_password
}

output "vercel_project_id" {
  description = "For `vercel link`."
  value       = vercel_project.gateway.id
}
