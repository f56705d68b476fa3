-- What a new installation starts with. Applying it again changes nothing but corrected values.
insert into gateway.plans (id, name, description, requests_per_minute, tokens_per_minute, concurrency,
                           requests_per_day, tokens_per_day, requests_per_month, tokens_per_month,
                           monthly_price_cents, yearly_price_cents, monthly_allowance_nanos, features, rank, is_offered)
values ('free', 'Free', 'For trying things out.', 20, 200000, 4, 500, 2000000, 5000, 20000000,
        0, 0, 0, '{All models,A trial to begin with}', 0, true),
       ('pay_as_you_go', 'Pay as you go', 'Credit that does not expire, bought as it is needed.', 600, 4000000, 64, null, null, null, null,
        0, 0, 0, '{All models,No daily or monthly quota,A bonus on larger purchases}', 1, true),
       ('dev', 'Dev', 'For one developer: credit for each month, and higher limits.', 1200, 8000000, 128, null, null, null, null,
        2900, 29000, 25000000000, '{All models,Credit each month,No daily or monthly quota,Two months free when paid yearly}', 2, true),
       ('team', 'Team', 'For a team: more credit for each month, and the highest limits.', 3000, 20000000, 256, null, null, null, null,
        9900, 99000, 90000000000, '{All models,Credit each month,No daily or monthly quota,Two months free when paid yearly}', 3, true)
on conflict do nothing;

insert into gateway.models (id, name, description, context_length, max_output_tokens, image_input_tokens, input_modalities, supported_parameters)
values ('openai/gpt-5-mini', 'GPT-5 mini', 'A fast, inexpensive reasoning model.', 400000, 128000, 1536, '{text,image}', '{tools,response_format,max_tokens,seed,reasoning}'),
       ('anthropic/claude-sonnet-4.5', 'Claude Sonnet 4.5', 'A strong model for code and agents.', 200000, 64000, 1600, '{text,image}', '{tools,max_tokens,temperature,reasoning}'),
       ('meta-llama/llama-3.3-70b-instruct', 'Llama 3.3 70B Instruct', 'An open model offered by many providers.', 131072, 16384, null, '{text}', '{tools,response_format,max_tokens,temperature,seed,logprobs}'),
       ('deepseek/deepseek-chat-v3.1', 'DeepSeek V3.1', 'A large open mixture-of-experts model.', 163840, 32768, null, '{text}', '{tools,response_format,max_tokens,temperature,reasoning}'),
       ('qwen/qwen3-32b', 'Qwen3 32B', 'A dense open model with hybrid thinking.', 40960, 16384, null, '{text}', '{tools,max_tokens,temperature,reasoning}')
on conflict (id) do nothing;

insert into gateway.models (id, name, description, context_length, max_output_tokens, output_modalities)
values ('openai/text-embedding-3-small', 'Text Embedding 3 Small', 'A small, inexpensive embeddings model.', 8192, 0, '{embeddings}'),
       ('openai/dall-e-3', 'DALL-E 3', 'Images from a prompt, one at a time, in two qualities.', 4000, 0, '{image}'),
       ('bytedance-seed/seedream-4.5', 'Seedream 4.5', 'Images from a prompt, up to 4K, at one price.', 32000, 0, '{image}')
on conflict (id) do nothing;

-- Nano-dollars per million tokens: 0.25 USD is 250000000. The markup is 5 %.
select api.publish_offer('openai/gpt-5-mini', 'openrouter', 'openai/gpt-5-mini', '{"input_tokens": 250000000, "cached_input_tokens": 25000000, "output_tokens": 2000000000}', 50000);
select api.publish_offer('openai/gpt-5-mini', 'portkey', '@openai/gpt-5-mini', '{"input_tokens": 250000000, "cached_input_tokens": 25000000, "output_tokens": 2000000000}', 50000);
select api.publish_offer('anthropic/claude-sonnet-4.5', 'openrouter', 'anthropic/claude-sonnet-4.5', '{"input_tokens": 3000000000, "cached_input_tokens": 300000000, "cache_write_tokens": 3750000000, "output_tokens": 15000000000}', 50000);
select api.publish_offer('meta-llama/llama-3.3-70b-instruct', 'openrouter', 'meta-llama/llama-3.3-70b-instruct', '{"input_tokens": 130000000, "output_tokens": 390000000}', 50000);
select api.publish_offer('meta-llama/llama-3.3-70b-instruct', 'featherless', 'meta-llama/Llama-3.3-70B-Instruct', '{"input_tokens": 100000000, "output_tokens": 100000000}', 50000);
select api.publish_offer('deepseek/deepseek-chat-v3.1', 'openrouter', 'deepseek/deepseek-chat-v3.1', '{"input_tokens": 200000000, "output_tokens": 800000000}', 50000);
select api.publish_offer('deepseek/deepseek-chat-v3.1', 'chutes', 'deepseek-ai/DeepSeek-V3.1', '{"input_tokens": 200000000, "output_tokens": 800000000}', 50000);
select api.publish_offer('qwen/qwen3-32b', 'chutes', 'Qwen/Qwen3-32B', '{"input_tokens": 80000000, "output_tokens": 240000000}', 50000);
select api.publish_offer('openai/text-embedding-3-small', 'openrouter', 'openai/text-embedding-3-small', '{"input_tokens": 20000000, "output_tokens": 0}', 50000);
select api.publish_offer('openai/text-embedding-3-small', 'portkey', '@openai/text-embedding-3-small', '{"input_tokens": 20000000, "output_tokens": 0}', 50000);

-- Nano-dollars per image, the first of each the default.
select api.publish_image_price('openai/dall-e-3', 'portkey', '@openai/dall-e-3', '1024x1024', 'standard', 40000000, 50000);
select api.publish_image_price('openai/dall-e-3', 'portkey', '@openai/dall-e-3', '1792x1024', 'standard', 80000000, 50000);
select api.publish_image_price('openai/dall-e-3', 'portkey', '@openai/dall-e-3', '1024x1792', 'standard', 80000000, 50000);
select api.publish_image_price('openai/dall-e-3', 'portkey', '@openai/dall-e-3', '1024x1024', 'hd', 80000000, 50000);
select api.publish_image_price('openai/dall-e-3', 'portkey', '@openai/dall-e-3', '1792x1024', 'hd', 120000000, 50000);
select api.publish_image_price('openai/dall-e-3', 'portkey', '@openai/dall-e-3', '1024x1792', 'hd', 120000000, 50000);
select api.publish_image_price('bytedance-seed/seedream-4.5', 'openrouter', 'bytedance-seed/seedream-4.5', '2K', '', 40000000, 50000);
select api.publish_image_price('bytedance-seed/seedream-4.5', 'openrouter', 'bytedance-seed/seedream-4.5', '4K', '', 40000000, 50000);
