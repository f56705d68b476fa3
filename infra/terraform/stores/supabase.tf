resource "random_password" "database" {
  length = 32
  # It becomes part of connection addresses, where other characters would have to be escaped.
  special = false
}

resource "supabase_project" "gateway" {
  organization_id   = var.supabase_organization
  name              = var.name
  region            = var.region
  database_password = random_password.database.result
  instance_size     = var.supabase_instance_size

  lifecycle {
    # It holds the ledger. To give it up, delete it in the dashboard and forget it here: terraform state rm.
    prevent_destroy = true
  }
}

# As infra/supabase/config.toml says it for `supabase config push`; do one or the other.
resource "supabase_settings" "gateway" {
  project_ref = supabase_project.gateway.id

  api = jsonencode({
    # The one schema that is exposed holds functions that service_role alone may call.
    db_schema            = "api"
    db_extra_search_path = "public,extensions"
    max_rows             = 1000
  })

  # Nobody signs in at Supabase: the service cannot be switched off there, so every door of it is shut.
  auth = jsonencode({
    disable_signup                   = true
    external_anonymous_users_enabled = false
    external_email_enabled           = false
    external_phone_enabled           = false
  })
}

# A key of the gateway's own, so that it can be replaced without touching any other.
resource "supabase_apikey" "gateway" {
  project_ref = supabase_project.gateway.id
  name        = "ai_gateway"
  description = "The gateway's functions"
}
