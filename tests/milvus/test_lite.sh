# test_lite.sh - store.sh against milvus-lite 3, a server in Python.
set -- lite
. tests/milvus/store.sh
