# The two stores: all a gateway needs on any platform. Apply this folder by itself for AWS or a container; the folder
# for Vercel holds it as a module. Credentials come from the environment: SUPABASE_ACCESS_TOKEN, UPSTASH_EMAIL and
# UPSTASH_API_KEY.
terraform {
  required_version = ">= 1.9"

  required_providers {
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
    supabase = {
      source  = "supabase/supabase"
      version = "~> 1.7"
    }
    upstash = {
      source  = "upstash/upstash"
      version = "~> 2.1"
    }
  }
}
