variable "name" {
  description = "What the Supabase project and the Upstash database are called."
  type        = string
  default     = "ai-gateway"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,38}[a-z0-9]$", var.name))
    error_message = "Use 3 to 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "region" {
  description = "Where both stores stand, by AWS's name; the functions belong there too: every request asks each store."
  type        = string
  default     = "us-east-1"

  # Where both Supabase and Upstash are.
  validation {
    condition = contains([
      "ap-southeast-1", "ap-southeast-2", "eu-central-1", "eu-west-1", "sa-east-1", "us-east-1", "us-west-1", "us-west-2",
    ], var.region)
    error_message = "Both stores stand together only in ap-southeast-1, ap-southeast-2, eu-central-1, eu-west-1, sa-east-1, us-east-1, us-west-1 and us-west-2."
  }
}

variable "supabase_organization" {
  description = "The organization's slug: what follows /org/ in the dashboard's address."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9-]+$", var.supabase_organization))
    error_message = "The slug has lower-case letters, digits and hyphens; it stands in the dashboard's address after /org/."
  }
}

variable "supabase_instance_size" {
  description = "Compute of the database; null is the plan's own, and the only one on the free plan."
  type        = string
  default     = null
}

variable "upstash_auto_scale" {
  description = "Whether Upstash may move the database to a dearer plan by itself when it meets a quota."
  type        = bool
  default     = false
}
