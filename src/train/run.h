/*
 * run.h - a training run: what was asked for, and everything that a step changes.
 *
 * plan.c settles the options, setup.c makes everything ready, run.c makes the steps, evaluate.c looks at the
 * validation set, save.c writes and reads the run's folder.
 */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "nn/graph.h"
#include "train/data.h"
#include "train/loss.h"
#include "train/optim.h"
#include "train/sampler.h"
#include "train/schedule.h"
#include "train/teacher.h"
#include "train/words.h"

/* The options with every choice made. */
typedef struct kn_plan {
    kn_net_config net;
    const char *arch;        /* "custom" for a model file's */
    kn_math math;
    kn_loss_config loss;
    kn_sampler_config sampler;
    kn_augment augment, toys_augment;
    const char *augment_text, *toys_augment_text;
    kn_optim_config optim;
    kn_schedule schedule;
    double warmup, clip, ema;
    float drop_path;
    float text_weight;       /* 0: no text network */
    float teacher_weight;    /* > 0; 0: no teacher */
    uint32_t turns, batch;   /* samples of a step */
} kn_plan;

/* Where a run stands: all that a checkpoint holds beside the numbers' blocks. */
typedef struct kn_place {
    uint64_t step, images, log_bytes, since_best;
    double seconds;          /* of training, over all sittings */
    double best, last_loss, start_score; /* start_score: of an online run's initial network */
    double loss_sum;         /* of the loss_steps since the last evaluation */
    uint64_t loss_steps;
    int has_best;
} kn_place;

/* A network in training: of pictures, or of texts. */
typedef struct kn_side {
    kn_graph *graph;
    kn_optim *optim;
    kn_param_range *ranges;
    size_t ranges_len;
    float *ema, *spare;      /* (weights) or NULL; spare holds the weights while ema is looked at */
    int still;               /* all is frozen: no way back, and running statistics */
} kn_side;

typedef struct kn_run {
    const ken_train_options *o;
    kn_plan plan;
    kn_data *data, *val;
    kn_sampler *sampler;
    kn_side image, text;     /* text.graph NULL: there is none */
    kn_loss *loss;           /* of the pictures by their labels; NULL where plan.loss is clip or distill */
    kn_loss *pairs;          /* of pictures with texts, or NULL */
    kn_loss *distill;        /* of pictures with the teacher's vectors, or NULL */
    kn_loss *val_loss;       /* as plan.loss, for validation: its watch is not the training's.  NULL without a
                              * validation set, and where the loss has classes of its own */
    kn_teacher *teacher;     /* or NULL */
    float *taught;           /* the teacher's vectors of the validation set, once evaluate.c needs them */
    kn_optim *loss_optim, *pairs_optim;
    kn_words *words;
    size_t frozen;           /* tensors that --freeze has met */
    uint64_t epoch_steps, total; /* total 0: by the clock */
    uint32_t threads;
    kn_place at;
    int log_fd;
    uint32_t *list, *batch_labels; /* (batch) */
    uint8_t *pixels;         /* (batch, side, side, 3) */
    float *grad, *pair_grad[2]; /* (batch, dim) */
    int32_t *ids;            /* (batch, KN_WORDS_CONTEXT) */
    size_t *lens;            /* (batch) */
    char *config;            /* the plan as JSON: config.json */
} kn_run;

/* setup.c: o and threads are set.  Data, networks, losses, room, and the folder: as new, or from its
 * newest checkpoint.  Release it whatever the status. */
KEN_CALL ken_status kn_run_set_up(kn_run *r);
void kn_run_release(kn_run *r);
enum { KN_CLOCK_STEPS = 1000000 }; /* of the schedule of a run by the clock */

/* plan.c.  KEN_E_INVALID says which option is wrong. */
KEN_CALL ken_status kn_plan_make(kn_plan *out, const ken_train_options *o);
/* What cannot be known before the data are: the number of classes. */
void kn_plan_classes(kn_plan *p, uint32_t classes);
/* The plan and the data as one JSON text, without paths and times; cJSON_free.  NULL: out of memory. */
char *kn_plan_json(const kn_run *r);

/* evaluate.c: R@1 or top-1 of the validation set into *score, and its loss. */
KEN_CALL ken_status kn_run_evaluate(kn_run *r, double *score, double *loss);

/* A picture of the validation set that is nearer to one of another class than to any of its own. */
typedef struct kn_confusion {
    uint32_t query, wrong, right; /* samples */
    float to_wrong, to_right;     /* cosines */
} kn_confusion;
/* The most confused ones, worst first; *n <= most. */
KEN_CALL ken_status kn_run_hardest(kn_run *r, kn_confusion *out, size_t most, size_t *n);

/* report.c: report.html in the run's folder, of the log so far. */
KEN_CALL ken_status kn_run_report(kn_run *r);

/* save.c */
KEN_CALL ken_status kn_run_save_model(const kn_run *r, const char *name); /* in the run's folder */
KEN_CALL ken_status kn_run_save(kn_run *r);    /* a checkpoint; then the one before the last goes */
/* The newest checkpoint that is whole.  KEN_E_NOTFOUND without one; KEN_E_INVALID if the run was
 * started with other settings. */
KEN_CALL ken_status kn_run_load(kn_run *r);
KEN_CALL ken_status kn_run_log(kn_run *r, const char *line); /* appends it and a newline */
KEN_CALL ken_status kn_run_open_log(kn_run *r);              /* cut to r->at.log_bytes */

void kn_run_note(const kn_run *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
