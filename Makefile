# `make demo`: a sandbox fine-tune from data to answers. `make run`: the wizard. `make test`: the tests. `make check`: the linters.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo run test check format bench clients screenshots messages snapshots clean

demo: $(READY)
	$(BIN)/phift-tui run assets/recipes/demo.toml --sandbox --yes --evaluate --deploy $(ARGS)

run: $(READY)
	$(BIN)/phift-tui --sandbox --recipe assets/recipes/demo.toml $(ARGS)

test: $(READY)
	$(BIN)/pytest -n 2 --dist loadgroup $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)
	@for file in tests/bench/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clients: $(READY)
	scripts/test-clients

screenshots: $(READY)
	$(BIN)/python scripts/screenshots.py

messages: $(READY)
	$(BIN)/python scripts/messages.py

snapshots: $(READY)
	$(BIN)/pytest tests/ui/test_snapshots.py --snapshot-update

$(READY): pyproject.toml scripts/setup
	scripts/setup $(VENV)
	@touch $(READY)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
