"""Money under fire: clients that hang up, processes that are killed, answers that get lost; then the books are checked.

python -m tests.chaos [cuts | kills | retries | settlements | all] [--count N] [--seed N] [--limit-s N]
"""
