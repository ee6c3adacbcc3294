/*
 * rules.c - the names of each publisher's state dict, beside ours (format.h).
 *
 * openai/CLIP clip/model.py; mlfoundations/open_clip model.py and transformer.py; OFA-Sys/Chinese-
 * CLIP cn_clip/clip/model.py and modeling_bert.py; transformers modeling_clip.py and
 * modeling_chinese_clip.py; pytorch/vision resnet.py; akamaster/pytorch_resnet_cifar10 resnet.py.
 */
#include "tools/convert/names.h"

#include <stddef.h>

/* clang-format off: tables */
#define LINEAR(from, to)                               \
    { from ".weight", to ".w", CV_MATRIX, 0 },         \
    { from ".bias", to ".b", CV_VECTOR, 0 }
#define PART(from, to, part)                           \
    { from ".weight", to ".w", CV_MATRIX, part },      \
    { from ".bias", to ".b", CV_VECTOR, part }
#define NORM(from, to)                                 \
    { from ".weight", to ".w", CV_VECTOR, 0 },         \
    { from ".bias", to ".b", CV_VECTOR, 0 }
#define BATCH_NORM(from, to)                           \
    { from ".weight", to ".bn.w", CV_VECTOR, 0 },      \
    { from ".bias", to ".bn.b", CV_VECTOR, 0 },        \
    { from ".running_mean", to ".bn.mean", CV_VECTOR, 0 }, \
    { from ".running_var", to ".bn.var", CV_VECTOR, 0 }
#define END { NULL, NULL, CV_DROPPED, 0 }

/* Wqkv: Chinese-CLIP's towers trained with FlashAttention */
#define CLIP_BLOCK(from, to)                                   \
    NORM(from ".ln_1", to ".ln1"),                             \
    { from ".attn.in_proj_weight", to ".qkv.w", CV_MATRIX, 0 }, \
    { from ".attn.in_proj_bias", to ".qkv.b", CV_VECTOR, 0 },  \
    LINEAR(from ".attn.Wqkv", to ".qkv"),                      \
    LINEAR(from ".attn.out_proj", to ".o"),                    \
    NORM(from ".ln_2", to ".ln2"),                             \
    LINEAR(from ".mlp.c_fc", to ".fc1"),                       \
    LINEAR(from ".mlp.c_proj", to ".fc2"),                     \
    { from ".attn_mask", "made when needed", CV_DROPPED, 0 }

#define HF_BLOCK(from, to)                       \
    NORM(from ".layer_norm1", to ".ln1"),        \
    PART(from ".self_attn.q_proj", to ".qkv", 1), \
    PART(from ".self_attn.k_proj", to ".qkv", 2), \
    PART(from ".self_attn.v_proj", to ".qkv", 3), \
    LINEAR(from ".self_attn.out_proj", to ".o"), \
    NORM(from ".layer_norm2", to ".ln2"),        \
    LINEAR(from ".mlp.fc1", to ".fc1"),          \
    LINEAR(from ".mlp.fc2", to ".fc2")

#define BERT(from)                                                              \
    { from "embeddings.word_embeddings.weight", "t.tok", CV_TABLE, 0 },         \
    { from "embeddings.position_embeddings.weight", "t.pos", CV_TABLE, 0 },     \
    { from "embeddings.token_type_embeddings.weight", "t.type", CV_TABLE, 0 },  \
    NORM(from "embeddings.LayerNorm", "t.ln_emb"),                              \
    PART(from "encoder.layer.#.attention.self.query", "t.#.qkv", 1),            \
    PART(from "encoder.layer.#.attention.self.key", "t.#.qkv", 2),              \
    PART(from "encoder.layer.#.attention.self.value", "t.#.qkv", 3),            \
    LINEAR(from "encoder.layer.#.attention.self.Wqkv", "t.#.qkv"),              \
    LINEAR(from "encoder.layer.#.attention.output.dense", "t.#.o"),             \
    NORM(from "encoder.layer.#.attention.output.LayerNorm", "t.#.ln1"),         \
    LINEAR(from "encoder.layer.#.intermediate.dense", "t.#.fc1"),               \
    LINEAR(from "encoder.layer.#.output.dense", "t.#.fc2"),                     \
    NORM(from "encoder.layer.#.output.LayerNorm", "t.#.ln2"),                   \
    { from "pooler.dense.weight", "the pooler is not part of the embedding", CV_DROPPED, 0 }, \
    { from "pooler.dense.bias", "the pooler is not part of the embedding", CV_DROPPED, 0 }

const cv_rule cv_rules_vit[] = {
    { "visual.conv1.weight", "v.patch.w", CV_CONV, 0 },
    { "visual.class_embedding", "v.cls", CV_VECTOR, 0 },
    { "visual.positional_embedding", "v.pos", CV_ARRAY, 0 },
    NORM("visual.ln_pre", "v.ln_pre"),
    CLIP_BLOCK("visual.transformer.resblocks.#", "v.#"),
    NORM("visual.ln_post", "v.ln_post"),
    { "visual.proj", "v.proj.w", CV_TRANSPOSED, 0 },
    END
};

const cv_rule cv_rules_modified_resnet[] = {
    { "visual.conv1.weight", "v.stem.0.w", CV_CONV, 0 },
    { "visual.conv2.weight", "v.stem.1.w", CV_CONV, 0 },
    { "visual.conv3.weight", "v.stem.2.w", CV_CONV, 0 },
    BATCH_NORM("visual.bn1", "v.stem.0"),
    BATCH_NORM("visual.bn2", "v.stem.1"),
    BATCH_NORM("visual.bn3", "v.stem.2"),
    { "visual.layer#.#.conv#.weight", "v.#.#.conv#.w", CV_CONV, 0 },
    BATCH_NORM("visual.layer#.#.bn#", "v.#.#.conv#"),
    { "visual.layer#.#.downsample.0.weight", "v.#.#.down.w", CV_CONV, 0 },
    BATCH_NORM("visual.layer#.#.downsample.1", "v.#.#.down"),
    { "visual.attnpool.positional_embedding", "v.pool.pos", CV_ARRAY, 0 },
    LINEAR("visual.attnpool.q_proj", "v.pool.q"),
    LINEAR("visual.attnpool.k_proj", "v.pool.k"),
    LINEAR("visual.attnpool.v_proj", "v.pool.v"),
    LINEAR("visual.attnpool.c_proj", "v.pool.o"),
    END
};

const cv_rule cv_rules_clip_text[] = {
    { "token_embedding.weight", "t.tok", CV_TABLE, 0 },
    { "positional_embedding", "t.pos", CV_TABLE, 0 },
    CLIP_BLOCK("transformer.resblocks.#", "t.#"),
    NORM("ln_final", "t.ln_final"),
    { "text_projection", "t.proj.w", CV_TRANSPOSED, 0 },
    { "text_projection.weight", "t.proj.w", CV_MATRIX, 0 },
    { "attn_mask", "made when needed", CV_DROPPED, 0 },
    END
};

const cv_rule cv_rules_bert[] = {
    BERT("bert."),
    { "text_projection", "t.proj.w", CV_TRANSPOSED, 0 },
    END
};

const cv_rule cv_rules_hf_vit[] = {
    { "vision_model.embeddings.patch_embedding.weight", "v.patch.w", CV_CONV, 0 },
    { "vision_model.embeddings.class_embedding", "v.cls", CV_VECTOR, 0 },
    { "vision_model.embeddings.position_embedding.weight", "v.pos", CV_ARRAY, 0 },
    NORM("vision_model.pre_layrnorm", "v.ln_pre"), /* so spelt */
    HF_BLOCK("vision_model.encoder.layers.#", "v.#"),
    NORM("vision_model.post_layernorm", "v.ln_post"),
    { "visual_projection.weight", "v.proj.w", CV_MATRIX, 0 },
    END
};

const cv_rule cv_rules_hf_text[] = {
    { "text_model.embeddings.token_embedding.weight", "t.tok", CV_TABLE, 0 },
    { "text_model.embeddings.position_embedding.weight", "t.pos", CV_TABLE, 0 },
    HF_BLOCK("text_model.encoder.layers.#", "t.#"),
    NORM("text_model.final_layer_norm", "t.ln_final"),
    { "text_projection.weight", "t.proj.w", CV_MATRIX, 0 },
    END
};

const cv_rule cv_rules_hf_bert[] = {
    BERT("text_model."),
    { "text_projection.weight", "t.proj.w", CV_MATRIX, 0 },
    END
};

/* linear and shortcut: the CIFAR networks' */
const cv_rule cv_rules_resnet[] = {
    { "conv1.weight", "v.stem.0.w", CV_CONV, 0 },
    BATCH_NORM("bn1", "v.stem.0"),
    { "layer#.#.conv#.weight", "v.#.#.conv#.w", CV_CONV, 0 },
    BATCH_NORM("layer#.#.bn#", "v.#.#.conv#"),
    { "layer#.#.downsample.0.weight", "v.#.#.down.w", CV_CONV, 0 },
    BATCH_NORM("layer#.#.downsample.1", "v.#.#.down"),
    { "layer#.#.shortcut.0.weight", "v.#.#.down.w", CV_CONV, 0 },
    BATCH_NORM("layer#.#.shortcut.1", "v.#.#.down"),
    LINEAR("fc", "fc"),
    LINEAR("linear", "fc"),
    END
};

const cv_rule cv_rules_any[] = {
    { "logit_scale", "logit_scale", CV_SCALAR, 0 },
    { "input_resolution", "OpenAI's mark", CV_DROPPED, 0 },
    { "context_length", "OpenAI's mark", CV_DROPPED, 0 },
    { "vocab_size", "OpenAI's mark", CV_DROPPED, 0 },
    END
};
/* clang-format on */
