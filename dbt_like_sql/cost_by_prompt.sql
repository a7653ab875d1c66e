-- What each prompt has cost in each benchmark. Requests are history: a prompt whose answers came
-- from a file or from the ledger shows its texts, and no request.
-- column texts: Distinct texts that have an answer now.
-- column requests: Requests sent, ever.
-- column failed: Requests that failed for good.
-- column attempts: Times that a request was sent, retries included.
-- column prompt_tokens: Tokens in.
-- column completion_tokens: Tokens out.
-- column cost_usd: What was paid; null where no price is known.
-- column cost_usd_per_1000_texts: The same for every 1,000 texts answered.
WITH answers AS (
    SELECT benchmark, variant, count(*) AS texts
    FROM descriptions
    GROUP BY benchmark, variant
    UNION ALL
    SELECT benchmark, grader AS variant, count(*) AS texts
    FROM informativeness
    GROUP BY benchmark, grader
),

sent AS (
    SELECT
        benchmark, variant,
        count(*) AS requests,
        count_if(state = 'failed')::BIGINT AS failed,
        sum(attempts)::BIGINT AS attempts,
        sum(prompt_tokens)::BIGINT AS prompt_tokens,
        sum(completion_tokens)::BIGINT AS completion_tokens,
        sum(cost_usd) AS cost_usd
    FROM requests
    GROUP BY benchmark, variant
)

SELECT
    coalesce(a.benchmark, s.benchmark) AS benchmark,
    coalesce(a.variant, s.variant) AS variant,
    p.purpose,
    p.model,
    coalesce(a.texts, 0) AS texts,
    coalesce(s.requests, 0) AS requests,
    coalesce(s.failed, 0) AS failed,
    coalesce(s.attempts, 0) AS attempts,
    s.prompt_tokens,
    s.completion_tokens,
    s.cost_usd,
    1000 * s.cost_usd / nullif(a.texts, 0) AS cost_usd_per_1000_texts
FROM answers AS a
FULL JOIN sent AS s ON s.benchmark = a.benchmark AND s.variant = a.variant
LEFT JOIN prompts AS p ON p.variant = coalesce(a.variant, s.variant)
ORDER BY benchmark, purpose, variant;
