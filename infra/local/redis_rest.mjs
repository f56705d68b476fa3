// The Upstash REST emulator on loopback only; its own server.js listens on every interface and leaves /pipeline open.
import { serve } from "@hono/node-server";
import { createApp } from "@humanwhocodes/upstash-redis-server";
import { Hono } from "hono";
import { bearerAuth } from "hono/bearer-auth";

const { PORT, REDIS_URL, UPSTASH_TOKEN } = process.env;
const app = new Hono();
app.use("*", bearerAuth({ token: UPSTASH_TOKEN }));
app.route("/", createApp({ token: UPSTASH_TOKEN, redisUrl: REDIS_URL }));
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: Number(PORT) });
