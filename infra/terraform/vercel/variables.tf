variable "name" {
  description = "What the project and its stores are called."
  type        = string
  default     = "ai-gateway"
}

variable "region" {
  description = "Where the stores and the functions stand, by AWS's name."
  type        = string
  default     = "us-east-1"
}

variable "supabase_organization" {
  description = "The organization's slug: what follows /org/ in the dashboard's address."
  type        = string
}

variable "supabase_instance_size" {
  description = "Compute of the database; null is the plan's own."
  type        = string
  default     = null
}

variable "upstash_auto_scale" {
  description = "Whether Upstash may move the database to a dearer plan by itself when it meets a quota."
  type        = bool
  default     = false
}

variable "vercel_team" {
  description = "The team's slug or id; null is the account's default team."
  type        = string
  default     = null
}

variable "github_repository" {
  description = "owner/name, for a deployment at every push to production_branch; null to deploy from the command line."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null || can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.github_repository))
    error_message = "Write it as owner/name."
  }
}

variable "production_branch" {
  description = "The branch whose pushes go live."
  type        = string
  default     = "main"
}

variable "domain" {
  description = "The gateway's own host name, for instance api.example.com; null for the one that Vercel gives."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null || can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "A host name in lower case, without https:// and without a path."
  }
}

variable "secret_keys" {
  description = "Under which API keys are kept as HMACs, newest first; empty: one is made and kept in the state."
  type        = list(string)
  default     = []
  sensitive   = true

  validation {
    condition     = alltrue([for secret in var.secret_keys : length(secret) >= 32 && !strcontains(secret, ",")])
    error_message = "Each needs at least 32 characters, none of them a comma."
  }
}

variable "admin_api_key" {
  description = "With which whoever operates the gateway calls /admin; null: only people whose role is admin may."
  type        = string
  default     = null
  sensitive   = true

  validation {
    condition     = var.admin_api_key == null ? true : length(var.admin_api_key) >= 32
    error_message = "It needs at least 32 characters."
  }
}

variable "model_providers" {
  description = "The keys at the model providers; one that is left out is not used."
  sensitive   = true
  default     = {}
  type = object({
    openrouter  = optional(object({ api_key = string, base_url = optional(string) }))
    portkey     = optional(object({ api_key = string, base_url = optional(string) }))
    featherless = optional(object({ api_key = string, base_url = optional(string) }))
    chutes      = optional(object({ api_key = string, base_url = optional(string) }))
  })
}

variable "ranking_import" {
  description = "openrouter: what OpenRouter publishes of its own usage is ranked beside ours. Null: nothing is imported."
  type        = string
  default     = null
}

variable "privy" {
  description = "The app at Privy whose users may sign in; null: nobody can. Without a key of its own Privy's are read where it publishes them."
  default     = null
  type        = object({ app_id = string, verification_key = optional(string), jwks_url = optional(string) })

  validation {
    condition     = try(var.privy.verification_key, null) == null || try(var.privy.jwks_url, null) == null
    error_message = "Either verification_key or jwks_url says which key counts, not both."
  }
}

variable "gateway_url" {
  description = "Where the gateway is reached, for links in e-mails and the way back from a payment; null: its domain, if it has one."
  type        = string
  default     = null

  validation {
    condition     = var.gateway_url == null ? true : startswith(var.gateway_url, "https://")
    error_message = "It begins with https://."
  }
}

variable "app_url" {
  description = "The page that people use the gateway by; null: its own console."
  type        = string
  default     = null
}

variable "stripe" {
  description = "The account at Stripe that payments go to; null: nothing is sold. webhook_secrets: of its webhook endpoint, and of another while one is rolled."
  sensitive   = true
  default     = null
  type        = object({ secret_key = string, webhook_secrets = list(string), url = optional(string), automatic_tax = optional(bool, false) })

  validation {
    condition     = var.stripe == null ? true : length(var.stripe.webhook_secrets) > 0 && alltrue([for secret in var.stripe.webhook_secrets : secret != ""])
    error_message = "Without the webhook's signing secret anybody could tell the gateway that he has paid."
  }
}

variable "resend" {
  description = "The account at Resend that e-mail leaves by, and its sender: Name <address@your-domain>; null: no e-mail is sent."
  sensitive   = true
  default     = null
  type        = object({ api_key = string, sender = string, webhook_secret = optional(string), url = optional(string) })
}

variable "collector" {
  description = "The OpenTelemetry collector that the spans of calls are sent to, by OTLP over HTTP; null: none are sent."
  sensitive   = true
  default     = null
  type = object({
    endpoint     = string
    headers      = optional(map(string), {})
    service_name = optional(string)
    resource     = optional(map(string), {})
  })
}

variable "archive" {
  description = "The bucket of S3's that closed months of usage and ledger are copied to, and the keys that may put and get its objects; url: of what speaks as S3 does; null: nothing is archived."
  sensitive   = true
  default     = null
  type        = object({ bucket = string, region = optional(string), access_key_id = string, secret_access_key = string, url = optional(string) })
}

variable "function_time_limit_s" {
  description = "The maxDuration of chat and of images in vercel.json, which Vercel holds both to."
  type        = number
  default     = 300

  validation {
    condition     = var.function_time_limit_s >= 60 && var.function_time_limit_s <= 800 && floor(var.function_time_limit_s) == var.function_time_limit_s
    error_message = "Whole seconds from 60 to 800; Vercel's Hobby plan ends a function after 300."
  }
}

variable "provider_silence_limit_s" {
  description = "For how many seconds a provider's stream may send nothing before it counts as cut."
  type        = number
  default     = 120

  validation {
    condition     = var.provider_silence_limit_s >= 1 && floor(var.provider_silence_limit_s) == var.provider_silence_limit_s
    error_message = "Whole seconds above 0."
  }
}
