"""The gateway on AWS: what serverless.yml includes, and what puts its parameters in place."""
