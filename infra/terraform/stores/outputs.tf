locals {
  environment = {
    SUPABASE_URL              = "https://${supabase_project.gateway.id}.supabase.co"
    SUPABASE_SERVICE_ROLE_KEY = supabase_apikey.gateway.api_key
    UPSTASH_REDIS_REST_URL    = "https://${upstash_redis_database.gateway.endpoint}"
    UPSTASH_REDIS_REST_TOKEN  = upstash_redis_database.gateway.rest_token
  }
}

output "environment" {
  description = "What every function needs to reach the stores."
  sensitive   = true
  value       = local.environment
}

output "dotenv" {
  description = "The same as lines of a file: terraform output -raw dotenv >> .env"
  sensitive   = true
  value       = join("", [for name, value in local.environment : "${name}=${value}\n"])
}

output "project_ref" {
  description = "By which the supabase command line knows the project."
  value       = supabase_project.gateway.id
}

output "database_password" {
  description = "Of the owner of the tables, for `supabase db push`."
  sensitive   = true
  value       = random_password.database.result
}
