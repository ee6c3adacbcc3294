# test_standalone.sh - store.sh against milvus 2.3, a whole server in one process.
set -- standalone
. tests/milvus/store.sh
