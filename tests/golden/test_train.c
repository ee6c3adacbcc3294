/* test_train.c - losses, optimisers and schedules against PyTorch (train.py). */
#include "tests/test.h"

#include "train/loss.h"
#include "train/optim.h"
#include "train/schedule.h"

#include <math.h>
#include <string.h>

#include "train_cases.h"

#define OK(call) ck_assert_msg((call) == KEN_OK, "%s: %s", #call, ken_last_error())
#define COUNT(a) (sizeof(a) / sizeof *(a))

enum { N = 12, DIM = 6 };

/* f32 beside float64: within 2e-5 of the largest. */
static void alike(const char *name, const char *what, const float *got, const double *want,
                  size_t n)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs(want[i]));
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)got[i] - want[i]) <= 2e-5 * most + 1e-9,
                      "%s: %s[%zu] %g, not %g", name, what, i, (double)got[i], want[i]);
}

/* All of one case, by `threads`; the gradient for e stays in de. */
static void run_case(size_t i, uint32_t threads, float *de)
{
    kn_loss_config c = loss_cases[i].c;
    const int groups = !strcmp(loss_cases[i].name, "clip groups");
    float dv[N * DIM], *w, *g;
    kn_loss_report r;
    kn_loss *l;
    size_t count;
    c.dim = DIM;
    c.threads = threads;
    OK(kn_loss_new(&l, &c));
    kn_loss_params(l, &w, &g, &count);
    if (c.kind == KN_LOSS_CLIP)
        w[0] = 2.5f;
    else if (count)
        memcpy(w, input_w, count * sizeof *w);
    if (kn_loss_of_pairs(c.kind))
        OK(kn_loss_run_pairs(l, input_e, c.teacher_dim ? input_t : input_v, N,
                             groups ? input_groups : NULL, de, dv, &r));
    else
        OK(kn_loss_run(l, input_e, input_labels, N, de, &r));
    ck_assert_msg(fabs(r.loss - loss_cases[i].loss) <= 1e-5 * (1 + fabs(r.loss)), "%s: %g, not %g",
                  loss_cases[i].name, r.loss, loss_cases[i].loss);
    alike(loss_cases[i].name, "de", de, loss_cases[i].de, N * DIM);
    if (loss_cases[i].dw)
        alike(loss_cases[i].name, "dw", g, loss_cases[i].dw, count);
    if (loss_cases[i].dv)
        alike(loss_cases[i].name, "dv", dv, loss_cases[i].dv, N * DIM);
    kn_loss_free(l);
}

START_TEST(losses_as_pytorch)
{
    float one[N * DIM], two[N * DIM];
    for (size_t i = 0; i < COUNT(loss_cases); i++) {
        run_case(i, 1, one);
        run_case(i, 2, two);
        ck_assert_msg(!memcmp(one, two, sizeof one), "%s: 2 threads", loss_cases[i].name);
    }
}
END_TEST

START_TEST(optimisers_as_pytorch)
{
    enum { P = 10, STEPS = 20 };
    static const kn_param_range ranges[] = { { 0, P / 2, 1, 1, 0 }, { P / 2, P - P / 2, 1, 0, 0 } };
    for (size_t i = 0; i < COUNT(optim_cases); i++) {
        kn_optim_config c = kn_optim_defaults(optim_cases[i].c.kind);
        kn_optim *o;
        float w[P];
        c.nesterov = optim_cases[i].c.nesterov;
        c.weight_decay = optim_cases[i].c.decay;
        memcpy(w, optim_w, sizeof w);
        OK(kn_optim_new(&o, &c, P));
        for (size_t s = 0; s < STEPS; s++)
            OK(kn_optim_step(o, w, optim_g + s * P, ranges, 2, optim_cases[i].c.lr));
        alike(kn_optim_name(c.kind), "w", w, optim_cases[i].w, P);
        kn_optim_free(o);
    }
}
END_TEST

START_TEST(clipping_as_pytorch)
{
    float g[10];
    for (size_t i = 0; i < 10; i++)
        g[i] = optim_g[i] * 10;
    ck_assert_double_eq_tol(kn_grad_clip(g, 10, 1.5, 2), clip_norm, 1e-5);
    alike("clip", "g", g, clipped, 10);
}
END_TEST

START_TEST(schedules_as_pytorch)
{
    kn_schedule one = kn_schedule_defaults(KN_SCHEDULE_ONECYCLE, 0.1);
    kn_schedule cosine = kn_schedule_defaults(KN_SCHEDULE_COSINE, 0.1);
    kn_schedule step = kn_schedule_defaults(KN_SCHEDULE_STEP, 0.1);
    cosine.floor = 0.1;
    for (uint64_t i = 0; i < 20; i++) {
        ck_assert_double_eq_tol(kn_schedule_lr(&one, i, 20), onecycle_lr[i], 1e-9);
        ck_assert_double_eq_tol(kn_schedule_momentum(&one, i, 20), onecycle_momentum[i], 1e-9);
        ck_assert_double_eq_tol(kn_schedule_lr(&cosine, i, 20), cosine_lr[i], 1e-9);
        ck_assert_double_eq_tol(kn_schedule_lr(&step, i, 21), step_lr[i], 1e-9);
    }
}
END_TEST

static void fill(TCase *tc)
{
    tcase_add_test(tc, losses_as_pytorch);
    tcase_add_test(tc, optimisers_as_pytorch);
    tcase_add_test(tc, clipping_as_pytorch);
    tcase_add_test(tc, schedules_as_pytorch);
}

int main(void)
{
    return kn_test_main("train", fill);
}
