# The role with which GitHub Actions deploys serverless.yml to AWS, without a stored key. Applied once, by somebody who
# may change IAM; the stores are ../stores. Credentials come from the environment, as the AWS command line finds them.
terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { application = "ai-gateway" }
  }
}
