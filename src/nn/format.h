/*
 * format.h - what a ken model file holds: names, shapes, metadata.
 *
 * The file is safetensors.  ken-convert and the trainer write it, net.c reads it.
 *
 * __metadata__ (every value a string)
 *   ken            "1", the version of this page
 *   arch           a name of KN_ARCHS, or "custom" (the config then says it all)
 *   image, text    JSON objects, the configs below; absent where there is no such network
 *   preprocess     JSON {"fit":"short|squash|longest","resize":[h,w],"crop":[h,w],"filter":"bicubic",
 *                  "hf_crop":0,"fill":[r,g,b],"mean":[3],"std":[3]}
 *   tokenizer      "clip-bpe" or "bert-wordpiece"
 *   dtype          stored type of the matrices: "f32", "f16", "bf16", "int8" (NAME.w I8 rows, and NAME.s
 *                  f32 (n), what 1 stands for in each row; the arithmetic is that of f32 or bf16)
 *   layout         "panel16": matrices are panels (kernels.h) · "rows": row-major as published
 *   folded         "1": BatchNorm and scales are folded · "0": nothing is (trainable)
 *   scores         JSON {"image-image":[a,b],"text-image":[a,b]}: score = 1/(1+exp(-(a raw + b))); optional
 *   recognition    JSON {"crops":2,"looks":1,"fpir":0.01,"weights":[5],"impostors":{…}}, see
 *                  engine/recognition.h; optional, written by `ken eval calibrate`
 *   labels         JSON list, the classes of the head; optional
 *   licence, source, name   free text
 *   checksum       XXH3-128 of all tensor bytes, hex; written last by kn_writer
 *
 * Matrices ("mat" below) are (n, k) = (out, in).  With layout panel16 they are stored as
 * [ceil(n/16), Kp, 16] (f32, f16) or [ceil(n/16), Kp/2, 16, 2] (bf16), zero padded; with "rows" as
 * [n, k].  A convolution's k axis is always (kh, kw, cin).  Everything else is f32 row-major.
 * Embedding tables (t.tok, t.pos, t.type) are rows in the stored dtype.  Heads: width / head dim.
 *
 * image config
 *   {"kind":"vit","width":768,"layers":12,"heads":12,"mlp":3072,"patch":32,"grid":[7,7],
 *    "act":"quickgelu|gelu","eps":1e-5,"ln_pre":1,"dim":512}
 *     v.patch.w mat(width, patch*patch*3)  [v.patch.b (width)]   k = (y, x, channel)
 *     v.cls (width)  v.pos (grid+1, width)  v.ln_pre.{w,b}
 *     v.N.ln1.{w,b}  v.N.qkv.w mat(3w, w)  v.N.qkv.b  v.N.o.w mat(w, w)  v.N.o.b
 *     v.N.ln2.{w,b}  v.N.fc1.w mat(mlp, w)  v.N.fc1.b  v.N.fc2.w mat(w, mlp)  v.N.fc2.b
 *     v.ln_post.{w,b}   v.proj.w mat(dim, width), absent: dim == width
 *     Folded: the attention scale 1/sqrt(head dim) is in the q rows of qkv.w and qkv.b.
 *             (LayerNorm gains stay where they are: they cost nothing.)
 *   {"kind":"resnet","stem":"imagenet|cifar|clip|strided","block":"basic|bottleneck|plain",
 *    "layers":[3,4,6,3],"width":64,
 *    "pool":"mean|attention","shortcut":"conv|pad","heads":32,"dim":2048,"input":[224,224]}
 *     imagenet: v.stem.0.w mat(64, 7*7*3), maxpool.  cifar: v.stem.0.w mat(16, 3*3*3).
 *     clip: v.stem.{0,1,2}.w, 3x3, the first with stride 2; average pool 2.
 *     v.L.B.conv{1,2,3}.w mat   v.L.B.down.w mat   (L from 1, B from 0); each with .b when folded
 *     (clip: average pool before conv3 and before down where the stride is 2, see reference 1.2)
 *     cifar "pad" shortcut: every second pixel, channels zero-padded by planes/4 on both sides (option A).
 *     trainable: X.bn.{w,b,mean,var} beside X.w and no X.b (X = v.stem.0, v.1.0.conv1, v.2.0.down …); eps
 *     1e-5
 *     attention pool: v.pool.pos (hw+1, C)  v.pool.{q,k,v,o}.{w,b} mat; folded: the scale is in q
 *     strided: v.stem.0 as imagenet's, no maxpool.  plain: no stem; v.L.B is one convolution 3x3 of `width`
 *     channels, followed by a maxpool 2.
 *     mean pool and dim unlike the channels: v.proj.w mat(dim, channels)
 *     head: fc.w mat(labels, dim)  fc.b
 * text config
 *   {"kind":"clip","width":512,"layers":12,"heads":8,"mlp":2048,"context":77,"vocab":49408,"act":"quickgelu",
 *    "eps":1e-5,"dim":512,"eot":49407}
 *     t.tok (vocab, width)  t.pos (context, width)  t.N.* as v.N.*  t.ln_final.{w,b}  t.proj.w mat(dim,
 *     width)
 *   {"kind":"bert", … "eps":1e-12,"act":"gelu","context":52,"positions":512,"dim":512}
 *     t.tok  t.pos (positions, width)  t.type (1, width)  t.ln_emb.{w,b}
 *     t.N.qkv t.N.o t.N.ln1 (after attention) t.N.fc1 t.N.fc2 t.N.ln2 (after the MLP)  t.proj.w
 * tokenizer      U8 (bytes): the block of kn_tokenizer_build
 * logit_scale    f32 (), the stored logarithm
 */
#ifndef NN_FORMAT_H
#define NN_FORMAT_H

enum { KN_FORMAT_VERSION = 1 };

#endif
