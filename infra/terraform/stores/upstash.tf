resource "upstash_redis_database" "gateway" {
  database_name = var.name
  region        = "global"
  # No read regions: a limit is one count, and a copy elsewhere lags behind it.
  primary_region = var.region
  tls            = true
  auto_scale     = var.upstash_auto_scale

  # What we write ends by itself within an hour or so. Should the database be full all the same, a refused write fails
  # open and is logged, while an evicted key would be a limit forgotten without a word.
  eviction = false
}
