module "stores" {
  source = "../stores"

  name                   = var.name
  region                 = var.region
  supabase_organization  = var.supabase_organization
  supabase_instance_size = var.supabase_instance_size
  upstash_auto_scale     = var.upstash_auto_scale
}
