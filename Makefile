# Thin names for the scripts, which also run on a machine without make.
.PHONY: run test build bench lint
run:
	@scripts/run
test:
	@scripts/test
build:
	@scripts/build
bench:
	@bench/run
lint:
	@scripts/lint
