int32_t kernel(const alp_slot *in, alp_slot *out)
{
    int64_t fp = 0;
    alp_fp_clear();
    const int threads = (int)in[0].i;
    int64_t n = in[1].i;
    double *restrict a = in[2].p;
    const int64_t a_n0 = in[3].i;
    const int64_t a_n1 = in[4].i;
    int64_t *restrict k = in[7].p;
    const int64_t k_n0 = in[8].i;
    const int64_t k_n1 = in[9].i;
    double *restrict c = in[12].p;
    const int64_t c_n0 = in[13].i;
    const int64_t c_n1 = in[14].i;
    const int64_t fp_mask = in[17].i;
    alp_signals *const alp_poll = in[18].p;
    int64_t *resume = &out[5].i;
    if (!(n <= k_n0)) { out[0].i = 0; return 1; }
    if (!(k_n1 >= 1)) { out[0].i = 1; return 1; }
    if (!(a_n1 >= 1)) { out[0].i = 2; return 1; }
    if (!(n <= c_n0)) { out[0].i = 3; return 1; }
    if (!(c_n1 >= 1)) { out[0].i = 4; return 1; }
    int64_t fault = 0;
    if ((0) >= (n)) {
        out[0].i = -2;
        return 1;
    }
    double d = 0;
    int64_t i = 0;
    double x = 0;
    int64_t x_class = 0;
    const double alp_hidden0 = alp_hide_f64(1.0);
    const double alp_hidden1 = alp_hide_f64(10.0);

    {
        const int64_t i_1_first = 0, i_1_stop = n;
        const int64_t i_1_rows = alp_block_rows(i_1_stop - i_1_first, (c_n1 * sizeof *c), threads, 1048576);
        double *restrict c_saved = alp_scratch(0, (size_t)(i_1_rows * c_n1) * sizeof *c);
        if (!c_saved) {
            out[0].i = 1;
            return 2;
        }
        const int64_t i_1_unit = 32 * threads;
        int64_t i_1_take = alp_poll ? alp_min_i64(alp_whole_units(alp_first_rows(16777216.0 * threads, 17.0 + 64.0 * (5.0)), i_1_unit), i_1_rows) : i_1_rows;
        for (int64_t i_1_block = i_1_first; i_1_block < i_1_stop;) {
            const int64_t i_1_end = alp_min_i64(i_1_block + i_1_take, i_1_stop);
            const int64_t i_kept = i;
            const double d_kept = d;
            const double x_kept = x;
            const int64_t x_class_kept = x_class;
            if (i_1_block < i_1_end) {
            fp |= alp_fp_raised();
            #pragma omp parallel num_threads(threads) reduction(|:fault, fp)
            {
                alp_fp_clear();
                #pragma omp for schedule(dynamic, alp_chunk(i_1_end - i_1_block, threads)) lastprivate(d, i, x, x_class)
                for (int64_t i_1 = i_1_block; i_1 < i_1_end; i_1++) {  // for i in range(n):
                    memcpy(&c_saved[(i_1 - i_1_block) * c_n1], &c[i_1 * c_n1], (size_t)(c_n1) * sizeof *c);
                    i = i_1;
                    d = a[alp_index(k[i_1 * k_n1 + 0], a_n0, &fault) * a_n1 + 0];  // d = a[k[i, 0], 0]
                    x_class = 0;  // x = 1.0
                    x = alp_hidden0;
                    if (!fault) while (x < alp_hidden1) {
                        // while x < 10.0:
                        x_class = 1;  // x = x + d
                        x = x + d;
                    }
                    c[i_1 * c_n1 + 0] = x;  // c[i, 0] = x
                }
                fp |= alp_fp_raised();
            }
            }
            fp |= alp_fp_raised();
            if (fault || (fp & fp_mask)) {
                for (int64_t i_1_row = i_1_block; i_1_row < i_1_end; i_1_row++) {
                    memcpy(&c[i_1_row * c_n1], &c_saved[(i_1_row - i_1_block) * c_n1], (size_t)(c_n1) * sizeof *c);
                }
                out[0].i = fault | fp << 8;
                if (i_1_block == i_1_first) return 2;
                i = i_kept;
                d = d_kept;
                x = x_kept;
                x_class = x_class_kept;
                out[1].i = i;
                out[2].d = d;
                out[3].d = x;
                out[4].i = x_class;
                resume[0] = 0;
                resume[1] = i_1_block - i_1_first;
                return 3;
            }
            i_1_block = i_1_end;
            if (alp_poll && i_1_block < i_1_stop) {
                i_1_take = alp_poll->ask(alp_poll, i_1_take);
                if (!i_1_take) {
                    out[1].i = i;
                    out[2].d = d;
                    out[3].d = x;
                    out[4].i = x_class;
                    out[0].i = 0;
                    return 4;
                }
                i_1_take = alp_min_i64(alp_whole_units(i_1_take, i_1_unit), i_1_rows);
            }
        }
    }

    out[1].i = i;
    out[2].d = d;
    out[3].d = x;
    out[4].i = x_class;
    fp |= alp_fp_raised();
    return 0;
}
