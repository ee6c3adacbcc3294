/*
 * plan.c - from what was asked for to what is done.
 *
 * Presets: omniglot is Snell's prototypical network (2017) with quarter turns as classes; grocery the
 * recipe of reference runs on small sets of photographs; toys SupCon (Khosla 2020) on a ResNet-18
 * whose stem suits small pictures.
 */
#include "train/run.h"

#include "base/alloc.h"
#include "base/error.h"

#include <cjson/cJSON.h>
#include <string.h>

typedef struct preset {
    const char *name, *arch, *loss, *augment, *optimizer, *schedule;
    uint32_t side, dim, turns, classes, images, shots, batch;
    double lr, weight_decay, warmup, ema, clip;
    float label_smoothing, temperature;
} preset;

static const preset presets[] = {
    { "", "resnet18", "supcon", "none", "adamw", "cosine", 0, 0, 1, 32, 4, 1, 64, 1e-3, 0.05, 0.02, 0, 0, 0,
      -1 },
    { "omniglot", "conv4", "proto", "omniglot", "adamw", "cosine", 28, 0, 4, 60, 6, 1, 0, 2e-3, 1e-4, 0.02,
      0.999, 0, 0, -1 },
    { "grocery", "resnet18", "softmax", "grocery", "adamw", "onecycle", 128, 0, 1, 0, 0, 0, 64, 2e-3, 0.05,
      0, 0, 0, 0.1F, -1 },
    { "toys", "ken-small", "supcon", "flip", "adamw", "cosine", 64, 256, 1, 64, 4, 0, 0, 1e-3, 0.05, 0.03,
      0.999, 1, 0, 0.07F },
};

static const preset *find_preset(const char *name)
{
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++)
        if (!strcmp(presets[i].name, name ? name : ""))
            return &presets[i];
    return NULL;
}

static const char *text(const char *asked, const char *otherwise)
{
    return asked ? asked : otherwise;
}

static uint32_t whole(uint32_t asked, uint32_t otherwise)
{
    return asked ? asked : otherwise;
}

static double real(double asked, double otherwise)
{
    return asked >= 0 ? asked : otherwise;
}

/* Square pictures of `side`, as inference will fit them. */
static ken_status set_side(kn_net_config *c, uint32_t side)
{
    kn_prep *p = &c->prep;
    if (!side)
        side = p->crop[0];
    p->fit = c->resnet.plain ? KN_FIT_SQUASH : KN_FIT_SHORT;
    p->filter = KN_BILINEAR;
    p->resize[0] = p->resize[1] = p->crop[0] = p->crop[1] = side;
    if (c->image == KN_NET_VIT) {
        if (side % c->vit.patch)
            return kn_fail(KEN_E_INVALID, "--size %u is no multiple of the patch of %u", side, c->vit.patch);
        c->vit.grid[0] = c->vit.grid[1] = side / c->vit.patch;
        return KEN_OK;
    }
    uint32_t map[2];
    c->resnet.input[0] = c->resnet.input[1] = side;
    kn_resnet_map(&c->resnet, map);
    return map[0] ? KEN_OK : kn_fail(KEN_E_INVALID, "--size %u is too small for this network", side);
}

static ken_status network(kn_plan *p, const ken_train_options *o, const preset *s)
{
    p->arch = text(o->arch, s->arch);
    if (o->init) {
        kn_weights *w = NULL;
        ken_status st = kn_weights_open(&w, o->init);
        if (!st)
            st = kn_config_parse(&p->net, kn_weights_meta(w, "image"), kn_weights_meta(w, "preprocess"),
                                 kn_weights_meta(w, "text"));
        kn_weights_close(w);
        p->arch = "custom";
        if (st || p->net.image == KN_NET_NONE)
            return st ? kn_fail_in(st, "%s", o->init)
                      : kn_fail(KEN_E_UNSUPPORTED, "%s has no image network", o->init);
    } else if (!kn_arch_find(&p->net, p->arch)) {
        return kn_fail(KEN_E_INVALID, "--arch %s: no such network; `ken bench --help` lists them", p->arch);
    }
    p->net.has_text = 0;
    const uint32_t dim = whole(o->dim, o->init ? 0 : s->dim);
    if (dim && p->net.image == KN_NET_VIT)
        p->net.vit.dim = dim;
    else if (dim)
        p->net.resnet.dim = dim;
    return set_side(&p->net, whole(o->side, o->init ? 0 : s->side));
}

static uint32_t dim_of(const kn_net_config *c)
{
    return c->image == KN_NET_VIT ? c->vit.dim : c->resnet.dim;
}

static ken_status losses(kn_plan *p, const ken_train_options *o, const preset *s)
{
    kn_loss_kind kind;
    ken_status st = kn_loss_named(&kind, text(o->loss, s->loss));
    if (st)
        return kn_fail_in(st, "--loss");
    if (kind == KN_LOSS_DISTILL && !o->teacher)
        return kn_fail(KEN_E_INVALID, "--loss distill wants --teacher, a model to learn from");
    if (kind == KN_LOSS_CLIP && !o->vocab)
        return kn_fail(KEN_E_INVALID, "--loss clip wants --vocab, and texts");
    p->loss = kn_loss_defaults(kind);
    p->loss.dim = dim_of(&p->net);
    p->loss.seed = o->seed;
    p->loss.shots = whole(o->shots, whole(s->shots, 1));
    const int own = !o->loss || !strcmp(o->loss, s->loss);
    if (own && s->temperature >= 0)
        p->loss.temperature = s->temperature;
    if (own && s->label_smoothing > 0)
        p->loss.label_smoothing = s->label_smoothing;
    if (o->mining)
        st = kn_mining_named(&p->loss.mining, o->mining);
    if (o->margin >= 0)
        p->loss.margin = o->margin;
    if (o->temperature >= 0)
        p->loss.temperature = o->temperature;
    if (o->label_smoothing >= 0)
        p->loss.label_smoothing = o->label_smoothing;
    return st ? kn_fail_in(st, "--mining") : KEN_OK;
}

static void sampling(kn_plan *p, const ken_train_options *o, const preset *s)
{
    const int single = p->loss.kind == KN_LOSS_DISTILL ||
                       (kn_loss_of_classes(p->loss.kind) && p->loss.kind != KN_LOSS_PROXYANCHOR);
    p->sampler = (kn_sampler_config){ .seed = o->seed, .repeat = o->repeat ? o->repeat : 1 };
    if (single && !o->classes) {
        p->sampler.kind = KN_SAMPLER_SHUFFLE;
        p->batch = p->sampler.batch = whole(o->batch, whole(s->batch, 64));
        return;
    }
    const uint32_t images = whole(o->images, whole(s->images, 4));
    p->sampler.kind = p->loss.kind == KN_LOSS_PROTO ? KN_SAMPLER_EPISODES : KN_SAMPLER_PK;
    p->sampler.images = images;
    p->sampler.classes = whole(o->classes, o->batch ? o->batch / images : whole(s->classes, 32));
    p->sampler.least = images > 1 ? 2 : 1;
    p->batch = p->sampler.classes * images;
}

static ken_status learning(kn_plan *p, const ken_train_options *o, const preset *s)
{
    kn_optim_kind kind;
    kn_schedule_kind schedule;
    ken_status st = kn_optim_named(&kind, text(o->optimizer, s->optimizer));
    if (!st)
        st = kn_schedule_named(&schedule, text(o->schedule, s->schedule));
    if (st)
        return st;
    p->optim = kn_optim_defaults(kind);
    p->optim.weight_decay = real(o->weight_decay, s->weight_decay);
    const double usual = kind == KN_OPTIM_SGD && !o->preset ? 0.1 : s->lr;
    p->schedule = kn_schedule_defaults(schedule, real(o->lr, usual));
    p->warmup = real(o->warmup, s->warmup);
    p->clip = real(o->clip, s->clip);
    p->ema = real(o->ema, s->ema);
    p->drop_path = o->drop_path > 0 ? o->drop_path : 0;
    if (p->ema >= 1 || p->warmup >= 1 || p->drop_path >= 1)
        return kn_fail(KEN_E_INVALID, "--ema, --warmup and --drop-path are below 1");
    return KEN_OK;
}

/* How much each loss counts beside the first. */
static ken_status weigh(kn_plan *p, const ken_train_options *o)
{
    if (o->vocab)
        p->text_weight = p->loss.kind == KN_LOSS_CLIP || o->text_weight < 0 ? 1 : o->text_weight;
    if (o->teacher)
        p->teacher_weight = p->loss.kind == KN_LOSS_DISTILL || o->teacher_weight < 0 ? 1 : o->teacher_weight;
    if (o->teacher && !(p->teacher_weight > 0))
        return kn_fail(KEN_E_INVALID, "--teacher-weight 0: nothing is learnt of --teacher; leave it out");
    return KEN_OK;
}

/* A small tower of CLIP's kind (pre-norm, causal, pooled at the end) for a small vocabulary. */
static void add_text(kn_plan *p, const ken_train_options *o)
{
    if (!o->vocab)
        return;
    p->net.has_text = 1;
    p->net.text = (kn_text_config){ .trunk = { 128, 3, 4, 512, KN_ACT_GELU, 1e-5F },
                                    .context = KN_WORDS_CONTEXT, .positions = KN_WORDS_CONTEXT,
                                    .dim = p->loss.dim };
}

ken_status kn_plan_make(kn_plan *out, const ken_train_options *o)
{
    const preset *s = find_preset(o->preset);
    kn_plan p = { 0 };
    if (!s)
        return kn_fail(KEN_E_INVALID, "--preset %s: omniglot, grocery or toys", o->preset);
    const char *precision = text(o->precision, "bf16");
    if (strcmp(precision, "f32") && strcmp(precision, "bf16"))
        return kn_fail(KEN_E_INVALID, "--precision %s: training knows f32 and bf16", precision);
    p.math = strcmp(precision, "f32") ? KN_MATH_BF16 : KN_MATH_F32;
    p.turns = whole(o->turns, s->turns);
    p.augment_text = text(o->augment, s->augment);
    p.toys_augment_text = text(o->toys_augment, p.augment_text);
    ken_status st = network(&p, o, s);
    if (!st)
        st = losses(&p, o, s);
    if (!st) {
        sampling(&p, o, s);
        if (p.sampler.repeat > 1 && p.sampler.kind != KN_SAMPLER_PK)
            st = kn_fail(KEN_E_INVALID, "--repeat is for losses whose batches are some pictures of some "
                                        "classes; --loss %s takes others", kn_loss_name(p.loss.kind));
    }
    if (!st) {
        add_text(&p, o);
        st = weigh(&p, o);
    }
    if (!st)
        st = learning(&p, o, s);
    if (!st)
        st = kn_augment_parse(&p.augment, p.augment_text);
    if (!st)
        st = kn_augment_parse(&p.toys_augment, p.toys_augment_text);
    if (!st)
        *out = p;
    return st;
}

void kn_plan_classes(kn_plan *p, uint32_t classes)
{
    p->loss.classes = kn_loss_of_classes(p->loss.kind) ? classes : 0;
}

static void add_network(cJSON *j, const kn_net_config *c)
{
    char *image = NULL, *prep = NULL, *no_text = NULL;
    if (!kn_config_write(c, &image, &prep, &no_text)) {
        cJSON_AddRawToObject(j, "image", image);
        cJSON_AddRawToObject(j, "preprocess", prep);
    }
    kn_free(image);
    kn_free(prep);
    kn_free(no_text);
}

char *kn_plan_json(const kn_run *r)
{
    const kn_plan *p = &r->plan;
    const kn_data_report *d = kn_data_about(r->data);
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "arch", p->arch);
    add_network(j, &p->net);
    cJSON_AddStringToObject(j, "precision", p->math == KN_MATH_BF16 ? "bf16" : "f32");
    cJSON_AddNumberToObject(j, "text_weight", (double)p->text_weight);
    cJSON_AddStringToObject(j, "teacher", r->teacher ? kn_teacher_fingerprint(r->teacher) : "");
    cJSON_AddNumberToObject(j, "teacher_weight", (double)p->teacher_weight);
    cJSON_AddStringToObject(j, "loss", kn_loss_name(p->loss.kind));
    cJSON_AddStringToObject(j, "mining", kn_mining_name(p->loss.mining));
    cJSON_AddNumberToObject(j, "margin", (double)p->loss.margin);
    cJSON_AddNumberToObject(j, "temperature", (double)p->loss.temperature);
    cJSON_AddNumberToObject(j, "label_smoothing", (double)p->loss.label_smoothing);
    cJSON_AddNumberToObject(j, "batch", p->batch);
    cJSON_AddNumberToObject(j, "classes_per_batch", p->sampler.classes);
    cJSON_AddNumberToObject(j, "images_per_class", p->sampler.images);
    cJSON_AddNumberToObject(j, "shots", p->loss.shots);
    cJSON_AddNumberToObject(j, "turns", p->turns);
    cJSON_AddStringToObject(j, "augment", p->augment_text);
    cJSON_AddStringToObject(j, "toys_augment", p->toys_augment_text);
    cJSON_AddNumberToObject(j, "repeat", p->sampler.repeat);
    cJSON_AddStringToObject(j, "optimizer", kn_optim_name(p->optim.kind));
    cJSON_AddNumberToObject(j, "weight_decay", p->optim.weight_decay);
    cJSON_AddStringToObject(j, "schedule", kn_schedule_name(p->schedule.kind));
    cJSON_AddNumberToObject(j, "lr", p->schedule.lr);
    cJSON_AddNumberToObject(j, "warmup", p->warmup);
    cJSON_AddNumberToObject(j, "clip", p->clip);
    cJSON_AddNumberToObject(j, "ema", p->ema);
    cJSON_AddNumberToObject(j, "drop_path", (double)p->drop_path);
    cJSON_AddStringToObject(j, "freeze", r->o->freeze ? r->o->freeze : "");
    cJSON_AddNumberToObject(j, "seed", (double)r->o->seed);
    cJSON_AddNumberToObject(j, "pictures", (double)d->pictures);
    cJSON_AddNumberToObject(j, "classes", (double)d->classes);
    char *printed = cJSON_Print(j);
    cJSON_Delete(j);
    return printed;
}
