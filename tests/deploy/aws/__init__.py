"""AWS on one machine: moto keeps what is deployed, and the parts here run it as Lambda and API Gateway do."""
