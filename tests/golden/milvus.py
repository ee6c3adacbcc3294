#!/usr/bin/env python3
"""The bytes that Milvus's own SDK writes for requests and answers: python3 milvus.py > milvus_cases.h

Needs pymilvus (any 2.3 or later), whose generated protocol classes are the oracle.
"""
import struct

from pymilvus.grpc_gen import common_pb2 as common
from pymilvus.grpc_gen import milvus_pb2 as milvus
from pymilvus.grpc_gen import schema_pb2 as schema


def show(name, message):
    data = message if isinstance(message, bytes) else message.SerializeToString(deterministic=True)
    print(f"static const unsigned char {name}[] = {{")
    for i in range(0, len(data), 16):
        print("    " + " ".join(f"0x{b:02x}," for b in data[i:i + 16]))
    print("};\n")


def pair(key, value):
    return common.KeyValuePair(key=key, value=value)


IDS = [(77 << 32) + 1, 2, (1 << 63) - 1]
REVS = [0, -1, 1700000000000000]
PATHS = ["/a/\u4f60\u597d.jpg", "", "/b \"c\"/" + "x" * 200]
VECTORS = [[1.0, 0.0, -0.5], [0.25, -1.5e-8, 3.0], [0.1, 0.2, 0.3]]


def fields():
    yield schema.FieldData(type=schema.Int64, field_name="id", scalars=schema.ScalarField(
        long_data=schema.LongArray(data=IDS)))
    yield schema.FieldData(type=schema.VarChar, field_name="path", scalars=schema.ScalarField(
        string_data=schema.StringArray(data=PATHS)))
    yield schema.FieldData(type=schema.JSON, field_name="meta", scalars=schema.ScalarField(
        json_data=schema.JSONArray(data=[b"{}", b'{"a":1}', b"{}"])))
    yield schema.FieldData(type=schema.Int64, field_name="rev", scalars=schema.ScalarField(
        long_data=schema.LongArray(data=REVS)))
    yield schema.FieldData(type=schema.FloatVector, field_name="vector", vectors=schema.VectorField(
        dim=3, float_vector=schema.FloatArray(data=sum(VECTORS, []))))


def main():
    print("/* What milvus.py wrote. */\n")
    layout = schema.CollectionSchema(name="toys", fields=[
        schema.FieldSchema(name="id", is_primary_key=True, data_type=schema.Int64),
        schema.FieldSchema(name="path", data_type=schema.VarChar, type_params=[pair("max_length", "65535")]),
        schema.FieldSchema(name="meta", data_type=schema.JSON),
        schema.FieldSchema(name="rev", data_type=schema.Int64),
        schema.FieldSchema(name="vector", data_type=schema.FloatVector, type_params=[pair("dim", "3")])])
    show("case_create", milvus.CreateCollectionRequest(
        db_name="own", collection_name="toys", schema=layout.SerializeToString(deterministic=True),
        shards_num=2, consistency_level=common.Bounded))
    show("case_upsert", milvus.UpsertRequest(collection_name="toys", fields_data=list(fields()), num_rows=3))
    group = common.PlaceholderGroup(placeholders=[common.PlaceholderValue(
        tag="$0", type=common.FloatVector, values=[struct.pack("<3f", *v) for v in VECTORS[:2]])])
    show("case_search", milvus.SearchRequest(
        collection_name="toys", dsl="state == 0", dsl_type=common.BoolExprV1, nq=2,
        placeholder_group=group.SerializeToString(deterministic=True), consistency_level=common.Bounded,
        search_params=[pair("anns_field", "vector"), pair("topk", "10"), pair("metric_type", "COSINE"),
                       pair("params", '{"ef":128}'), pair("round_decimal", "-1")]))
    show("case_query", milvus.QueryRequest(collection_name="toys", expr="id > 5", output_fields=["id", "vector"],
                                           query_params=[pair("limit", "100")]))
    show("case_rows", milvus.QueryResults(status=common.Status(), collection_name="toys",
                                          fields_data=list(fields())))
    hits = schema.SearchResultData(num_queries=2, top_k=3, scores=[0.9, 0.5, 0.5, 0.25], topks=[3, 1],
                                   ids=schema.IDs(int_id=schema.LongArray(data=[7, 9, 8, IDS[0]])))
    show("case_hits", milvus.SearchResults(status=common.Status(), results=hits))
    hits.ids.CopyFrom(schema.IDs(str_id=schema.StringArray(data=["7/0", "9/1", "8/12", f"{IDS[0]}/3"])))
    show("case_hits_text", milvus.SearchResults(status=common.Status(), results=hits))
    hits.topks[0] = 4
    show("case_hits_lying", milvus.SearchResults(status=common.Status(), results=hits))


main()
