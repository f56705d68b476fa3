# Everything a gateway on Vercel needs: the stores, the project and its variables. Credentials come from the environment:
# SUPABASE_ACCESS_TOKEN, UPSTASH_EMAIL, UPSTASH_API_KEY and VERCEL_API_TOKEN.
terraform {
  required_version = ">= 1.9"

  required_providers {
    random = {
      source  = "hashicorp/random"
      version = "~> 3.7"
    }
    vercel = {
      source  = "vercel/vercel"
      version = "~> 4.6"
    }
  }
}

provider "vercel" {
  team = var.vercel_team
}
