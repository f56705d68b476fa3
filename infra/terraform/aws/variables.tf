variable "region" {
  description = "Where the functions are deployed; the role can do nothing elsewhere."
  type        = string
  default     = "us-east-1"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "A region's name, for instance eu-central-1."
  }
}

variable "github_repository" {
  description = "As the token's subject names it: owner/name, and owner@123456/name@456789 where GitHub adds immutable ids."
  type        = string

  # No wildcard, which would let other repositories in.
  validation {
    condition     = can(regex("^[A-Za-z0-9-]+(@[0-9]+)?/[A-Za-z0-9_.-]+(@[0-9]+)?$", var.github_repository))
    error_message = "Write it as owner/name or owner@id/name@id."
  }
}

variable "github_subject" {
  description = "From where a deployment may come: an environment, which can ask for approval, or a branch."
  type        = string
  default     = "environment:production"

  validation {
    condition     = can(regex("^(environment:[A-Za-z0-9_.-]+|ref:refs/heads/[A-Za-z0-9_./-]+)$", var.github_subject))
    error_message = "Write it as environment:production or ref:refs/heads/main, without wildcards."
  }
}

variable "create_github_provider" {
  description = "An account has one identity provider for GitHub: false where it is there already."
  type        = bool
  default     = true
}
