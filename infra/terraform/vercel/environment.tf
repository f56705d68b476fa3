resource "random_password" "secret_key" {
  length  = 48
  special = false

  lifecycle {
    # With it every customer's API key would be lost.
    prevent_destroy = true
  }
}

resource "random_password" "cron_secret" {
  length  = 48
  special = false
}

locals {
  # What .env.example names, but for TRUSTED_PROXY_COUNT (Vercel vouches for the client's address itself) and HOLD_GRACE_S
  # (its default is right wherever a settlement takes seconds).
  environment = {
    SUPABASE_URL              = module.stores.environment.SUPABASE_URL
    SUPABASE_SERVICE_ROLE_KEY = module.stores.environment.SUPABASE_SERVICE_ROLE_KEY
    UPSTASH_REDIS_REST_URL    = module.stores.environment.UPSTASH_REDIS_REST_URL
    UPSTASH_REDIS_REST_TOKEN  = module.stores.environment.UPSTASH_REDIS_REST_TOKEN
    SECRET_KEY                = join(",", length(var.secret_keys) > 0 ? var.secret_keys : [random_password.secret_key.result])
    CRON_SECRET               = random_password.cron_secret.result
    CLIENT_ADDRESS_SOURCE     = "vercel"
    FUNCTION_TIME_LIMIT_S     = tostring(var.function_time_limit_s)
    PROVIDER_SILENCE_LIMIT_S  = tostring(var.provider_silence_limit_s)
  }

  domain_url = var.domain == null ? null : "https://${var.domain}"

  # Null where nothing was given: a variable that is not set is a provider that is not used, or nobody who can sign in.
  optional_environment = {
    GATEWAY_URL               = var.gateway_url == null ? local.domain_url : var.gateway_url
    APP_URL                   = var.app_url
    STRIPE_SECRET_KEY         = try(var.stripe.secret_key, null)
    STRIPE_WEBHOOK_SECRET     = try(join(",", var.stripe.webhook_secrets), null)
    STRIPE_URL                = try(var.stripe.url, null)
    STRIPE_AUTOMATIC_TAX      = try(tostring(var.stripe.automatic_tax), null)
    RESEND_API_KEY            = try(var.resend.api_key, null)
    EMAIL_FROM                = try(var.resend.sender, null)
    RESEND_WEBHOOK_SECRET     = try(var.resend.webhook_secret, null)
    RESEND_URL                = try(var.resend.url, null)
    ADMIN_API_KEY             = var.admin_api_key
    ARCHIVE_BUCKET            = try(var.archive.bucket, null)
    ARCHIVE_REGION            = try(var.archive.region, null)
    ARCHIVE_ACCESS_KEY_ID     = try(var.archive.access_key_id, null)
    ARCHIVE_SECRET_ACCESS_KEY = try(var.archive.secret_access_key, null)
    ARCHIVE_URL               = try(var.archive.url, null)
    PRIVY_APP_ID              = try(var.privy.app_id, null)
    PRIVY_VERIFICATION_KEY    = try(var.privy.verification_key, null)
    PRIVY_JWKS_URL            = try(var.privy.jwks_url, null)
    OPENROUTER_API_KEY        = try(var.model_providers.openrouter.api_key, null)
    OPENROUTER_BASE_URL       = try(var.model_providers.openrouter.base_url, null)
    PORTKEY_API_KEY           = try(var.model_providers.portkey.api_key, null)
    PORTKEY_BASE_URL          = try(var.model_providers.portkey.base_url, null)
    FEATHERLESS_API_KEY       = try(var.model_providers.featherless.api_key, null)
    FEATHERLESS_BASE_URL      = try(var.model_providers.featherless.base_url, null)
    CHUTES_API_KEY            = try(var.model_providers.chutes.api_key, null)
    CHUTES_BASE_URL           = try(var.model_providers.chutes.base_url, null)
    RANKING_IMPORT            = var.ranking_import

    OTEL_EXPORTER_OTLP_ENDPOINT = try(var.collector.endpoint, null)
    OTEL_EXPORTER_OTLP_HEADERS  = try(coalesce(join(",", [for name, value in var.collector.headers : "${name}=${replace(urlencode(value), "+", "%20")}"])), null)
    OTEL_SERVICE_NAME           = try(var.collector.service_name, null)
    OTEL_RESOURCE_ATTRIBUTES    = try(coalesce(join(",", [for name, value in var.collector.resource : "${name}=${replace(urlencode(value), "+", "%20")}"])), null)
  }
}

# Production alone: a preview of a branch must not spend a customer's money.
resource "vercel_project_environment_variables" "gateway" {
  project_id = vercel_project.gateway.id

  variables = concat(
    [for name, value in local.environment : { key = name, value = value, target = ["production"], sensitive = true }],
    [
      for name, value in local.optional_environment :
      { key = name, value = value, target = ["production"], sensitive = true } if value != null
    ],
  )
}
