#!/bin/sh
# Makes the namespace and the search attributes that officers filter by; safe to run again.
# Where Temporal is comes from TEMPORAL_ADDRESS, the namespace from TEMPORAL_NAMESPACE.
set -eu

# A new server takes a while until it serves, and to know a new namespace.
patiently() {
    tries=60
    until "$@"; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { echo "gave up: $*" >&2; exit 1; }
        sleep 2
    done
}

namespace() {
    temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
        temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$RETENTION"
}

patiently temporal operator cluster health
patiently namespace
patiently temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" \
    --name Regime --type Keyword \
    --name RegistrationKind --type Keyword \
    --name DueAt --type Datetime
