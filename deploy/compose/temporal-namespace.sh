#!/bin/sh
# The namespace that plans live in; histories are kept for a week after a plan has ended.
set -eu
temporal operator namespace describe --namespace default >/dev/null 2>&1 ||
  temporal operator namespace create --namespace default --retention 168h
