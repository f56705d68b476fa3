resource "upstash_redis_database" "gateway" {
  database_name = var.name
  region        = "global"
  # No read regions: a limit is one count, and a copy elsewhere lags behind it.
  primary_region = var.region
  tls            = true
  auto_scale     = var.upstash_auto_scale

  # What we write ends by itself within an hour or so, or is a settlement that the next sweep makes. Should the database
  # be full all the same, a refused write is logged, while an evicted key would be a limit forgotten, or a bill, without
  # a word.
  eviction = false
}
