/*
 * optim.h - steps over one contiguous block of parameters.
 *
 * Every parameter's new value depends on its own numbers alone, and norms are summed in chunks of
 * fixed size: results are the same bits for any number of threads.
 */
#ifndef TRAIN_OPTIM_H
#define TRAIN_OPTIM_H

#include "ken.h"

typedef enum kn_optim_kind {
    KN_OPTIM_SGD,
    KN_OPTIM_ADAMW,
    KN_OPTIM_LARS,
    KN_OPTIM_LION
} kn_optim_kind;

typedef struct kn_optim_config {
    kn_optim_kind kind;
    double momentum;     /* SGD, LARS; ADAMW, LION: beta 1 */
    double beta2;        /* ADAMW, LION */
    double eps;          /* ADAMW, LARS */
    double weight_decay; /* of ranges with `decay` */
    double trust;        /* LARS: the coefficient */
    int nesterov;        /* SGD */
    uint32_t threads;    /* at most so many; 0 is 1 */
} kn_optim_config;

/* The defaults of torch.optim: SGD momentum .9; AdamW .9, .999, 1e-8, decay .01; LARS momentum .9,
 * trust .001, decay 1e-4; Lion .9, .99. */
kn_optim_config kn_optim_defaults(kn_optim_kind kind);
/* "sgd", "adamw", "lars", "lion".  KEN_E_INVALID names the choices. */
KEN_CALL ken_status kn_optim_named(kn_optim_kind *out, const char *name);
const char *kn_optim_name(kn_optim_kind kind);

/* Parameters begin … begin + count - 1.  Usually one tensor: LARS scales by its norms. */
typedef struct kn_param_range {
    size_t begin, count;
    float lr_scale; /* times the learning rate */
    int decay;      /* not for biases, norms, scales */
    int frozen;     /* neither stepped nor in its moments */
} kn_param_range;

typedef struct kn_optim kn_optim;
/* For `count` parameters; moments start at zero. */
KEN_CALL ken_status kn_optim_new(kn_optim **out, const kn_optim_config *c, size_t count);
void kn_optim_free(kn_optim *o);

/* One step of w (count) along g (count), which is not changed.  Ranges do not overlap; what is in
 * none is frozen. */
KEN_CALL ken_status kn_optim_step(kn_optim *o, float *w, const float *g,
                                  const kn_param_range *ranges, size_t n_ranges, double lr);
/* For one-cycle schedules: momentum or beta 1 from now on. */
void kn_optim_set_momentum(kn_optim *o, double momentum);

/* Everything that a checkpoint needs: the moments, `count` floats, and how many steps were made. */
void kn_optim_state(kn_optim *o, float **moments, size_t *count);
uint64_t kn_optim_steps(const kn_optim *o);
void kn_optim_set_steps(kn_optim *o, uint64_t steps);

/* The L2 norm of g, in double; NaN or infinite if any number in it is: the guard before a step. */
double kn_grad_norm(const float *g, size_t n, uint32_t threads);
/* Scale g so that its norm is at most `most` (> 0), as torch's clip_grad_norm_ does; returns the
 * norm before, and leaves g alone if that is not finite. */
double kn_grad_clip(float *g, size_t n, double most, uint32_t threads);

/* Average of weights: avg = decay avg + (1 - decay) w. */
void kn_ema_update(float *avg, const float *w, size_t n, double decay, uint32_t threads);
/* The decay to use at a step, counted from 0: min(decay, (1 + step) / (10 + step)), small at
 * first. */
double kn_ema_decay(double decay, uint64_t step);

#endif
