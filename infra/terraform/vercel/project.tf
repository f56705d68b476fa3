locals {
  # The region of Vercel beside each region of the stores.
  # source: https://vercel.com/docs/regions
  vercel_regions = {
    ap-southeast-1 = "sin1"
    ap-southeast-2 = "syd1"
    eu-central-1   = "fra1"
    eu-west-1      = "dub1"
    sa-east-1      = "gru1"
    us-east-1      = "iad1"
    us-west-1      = "sfo1"
    us-west-2      = "pdx1"
  }
}

# What is built, and with which limits, stands in vercel.json.
resource "vercel_project" "gateway" {
  name                       = var.name
  serverless_function_region = lookup(local.vercel_regions, var.region, null)

  git_repository = var.github_repository == null ? null : {
    type              = "github"
    repo              = var.github_repository
    production_branch = var.production_branch
  }
}

resource "vercel_project_domain" "gateway" {
  count = var.domain == null ? 0 : 1

  project_id = vercel_project.gateway.id
  domain     = var.domain
}
