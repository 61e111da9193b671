# Reference values for the tests of liverspleen.evaluation, with base R alone.
# Run in this folder: Rscript reference.R     reads paired.csv, grouped.csv, balanced.csv, unbalanced.csv; writes expected.csv
found <- data.frame(dataset = character(), name = character(), value = character())
put <- function(dataset, ...) {
  values <- list(...)
  for (name in names(values)) {
    v <- values[[name]]
    labels <- if (length(v) > 1) paste(name, seq_along(v), sep = ".") else name
    found <<- rbind(found, data.frame(dataset = dataset, name = labels, value = sprintf("%.17g", as.numeric(v))))
  }
}
z <- 1.96

# Factors of mean and SD: noncentral t, and two-sided tolerance by adaptive quadrature over the error of the mean.
exact_factors <- function(n) qt(c(0.025, 0.975), n - 1, z * sqrt(n)) / sqrt(n)
tolerance <- function(n, confidence, content = 0.95) {
  radius <- function(e) sapply(e, function(x)
    uniroot(function(r) pnorm(x + r) - pnorm(x - r) - content, c(0, abs(x) + 10), tol = 1e-13)$root)
  reached <- function(k) 2 * integrate(function(u)
    pchisq((n - 1) * radius(u / sqrt(n))^2 / k^2, n - 1, lower.tail = FALSE) * dnorm(u),
    0, 9, rel.tol = 1e-10, subdivisions = 2000)$value
  uniroot(function(k) reached(k) - confidence, c(0.3, 120), tol = 1e-11)$root
}
for (n in c(2, 3, 5, 30, 150, 300)) {
  put(paste0("factors", n), exact = exact_factors(n), pair = c(tolerance(n, 0.025), tolerance(n, 0.975)),
      tolerance = tolerance(n, 0.95))
}

limits <- function(d) {
  n <- length(d); m <- mean(d); s <- sd(d); df <- n - 1
  q <- qt(0.975, df)
  se99 <- s * sqrt(1 / n + z^2 / (2 * df)); se86 <- s * sqrt(3 / n)
  lo <- m - z * s; hi <- m + z * s
  tt <- t.test(d)
  put_names <- list(n = n, mean = m, sd = s, loa_lower = lo, loa_upper = hi, t = unname(tt$statistic), p_bias = tt$p.value,
    bias_ci = tt$conf.int[1:2], sd_ci_chisq = s * sqrt(df / qchisq(c(0.975, 0.025), df)),
    ba1999_lower = lo + c(-1, 1) * q * se99, ba1999_upper = hi + c(-1, 1) * q * se99,
    ba1986_lower = lo + c(-1, 1) * q * se86, ba1986_upper = hi + c(-1, 1) * q * se86,
    nonparam = unname(quantile(d, c(0.025, 0.975), type = 7)),
    dz = m / s, inside = sum(d >= lo & d <= hi))
  ci <- tt$conf.int; sdci <- s * sqrt(df / qchisq(c(0.975, 0.025), df))
  mover_lo <- sqrt((m - ci[1])^2 + (z * (s - sdci[1]))^2); mover_hi <- sqrt((ci[2] - m)^2 + (z * (sdci[2] - s))^2)
  c(put_names, list(mover_lower = c(lo - mover_hi, lo + mover_lo), mover_upper = c(hi - mover_lo, hi + mover_hi)))
}
checks <- function(d, average) {
  line <- summary(lm(d ~ average))$coefficients
  spread <- summary(lm(abs(residuals(lm(d ~ average))) ~ average))$coefficients
  rank <- suppressWarnings(cor.test(abs(d), average, method = "spearman", exact = FALSE))
  w <- shapiro.test(d)
  list(W = unname(w$statistic), W_p = w$p.value, slope = line[2, ], intercept = line[1, 1], spread = spread[2, ],
       rho = unname(rank$estimate), rho_p = rank$p.value)  # exact = FALSE: Student's t
}
paired <- read.csv("paired.csv")
for (name in unique(paired$dataset)) {
  part <- paired[paired$dataset == name & !is.na(paired$test) & !is.na(paired$reference), ]
  a <- part$test; b <- part$reference; average <- (a + b) / 2
  scales <- list(absolute = a - b, percent = 200 * (a - b) / (a + b), log = log(a / b))
  for (scale in names(scales)) {
    d <- scales[[scale]]
    do.call(put, c(list(paste(name, scale, sep = ".")), limits(d)))
    if (length(d) > 3) do.call(put, c(list(paste(name, scale, sep = ".")), checks(d, average)))
    margin <- list(absolute = 10, percent = 3, log = log(1.03))[[scale]]
    lower <- t.test(d, mu = -margin, alternative = "greater"); upper <- t.test(d, mu = margin, alternative = "less")
    put(paste(name, scale, sep = "."), tost_lower = c(lower$statistic, lower$p.value),
        tost_upper = c(upper$statistic, upper$p.value), ci90 = t.test(d, conf.level = 0.9)$conf.int[1:2])
  }
  d <- round(a - b, 9)
  test <- wilcox.test(d, exact = FALSE, correct = FALSE)
  nonzero <- d[d != 0]; plus <- sum(rank(abs(nonzero))[nonzero > 0]); all <- sum(rank(abs(nonzero)))
  walsh <- outer(d, d, "+") / 2
  put(name, wilcoxon_v = unname(test$statistic), wilcoxon_p = test$p.value, rank_biserial = (2 * plus - all) / all,
      hodges_lehmann = median(walsh[upper.tri(walsh, diag = TRUE)]))
  if (length(d) > 5 && !any(d == 0) && !anyDuplicated(abs(d)) && length(d) < 50) {
    put(name, hodges_lehmann_ci = wilcox.test(d, conf.int = TRUE, exact = TRUE)$conf.int[1:2])
  }
  if (length(d) > 2) {
    n <- length(d); s2 <- function(x) mean((x - mean(x))^2)
    sab <- mean((a - mean(a)) * (b - mean(b)))
    put(name, ccc = 2 * sab / (s2(a) + s2(b) + (mean(a) - mean(b))^2), pearson = cor(a, b))
  }
}

icc <- function(x) {
  n <- nrow(x); k <- ncol(x)
  long <- data.frame(y = as.vector(x), s = factor(rep(1:n, k)), r = factor(rep(1:k, each = n)))
  ms <- summary(aov(y ~ s + r, long))[[1]][["Mean Sq"]]
  msr <- ms[1]; msc <- ms[2]; mse <- ms[3]
  a <- (msr - mse) / (msr + (k - 1) * mse + k * (msc - mse) / n); cc <- (msr - mse) / (msr + (k - 1) * mse)
  f <- msr / mse; fl <- f / qf(0.975, n - 1, (n - 1) * (k - 1)); fu <- f * qf(0.975, (n - 1) * (k - 1), n - 1)
  # McGraw and Wong's interval in Shrout and Fleiss' notation.
  fj <- msc / mse
  v <- (n - 1) * (k - 1) * (k * a * fj + n * (1 + (k - 1) * a) - k * a)^2 /
    ((n - 1) * k^2 * a^2 * fj^2 + (n * (1 + (k - 1) * a) - k * a)^2)
  up <- qf(0.975, n - 1, v); down <- qf(0.975, v, n - 1)
  list(msr = msr, msc = msc, mse = mse, icc_a1 = a, icc_c1 = cc, icc_c1_ci = c((fl - 1) / (fl + k - 1), (fu - 1) / (fu + k - 1)),
       icc_a1_ci = c(n * (msr - up * mse) / (up * (k * msc + (k * n - k - n) * mse) + n * msr),
                     n * (down * msr - mse) / (k * msc + (k * n - k - n) * mse + n * down * msr)))
}
rc <- function(x) {
  x <- x[rowSums(!is.na(x)) > 1, , drop = FALSE]
  k <- rowSums(!is.na(x)) - 1; df <- sum(k)
  v <- apply(x, 1, var, na.rm = TRUE); m <- rowMeans(x, na.rm = TRUE)
  wcv <- 100 * sqrt(sum(k * v / m^2) / df); q <- sqrt(df / qchisq(c(0.975, 0.025), df))
  sw <- sqrt(sum(k * apply(log(x), 1, var, na.rm = TRUE)) / df); wsd <- sqrt(sum(k * v) / df)
  list(n = nrow(x), df = df, wcv = wcv, wcv_ci = wcv * q, rc = z * sqrt(2) * wcv, rc_ci = z * sqrt(2) * wcv * q, sw_log = sw,
       wcv_lognormal = 100 * sqrt(exp(sw^2) - 1), rc_ci_lognormal = z * sqrt(2) * 100 * sqrt(exp((sw * q)^2) - 1),
       asymmetric = 100 * (exp(c(-1, 1) * z * sqrt(2) * sw) - 1), wsd = wsd, wsd_wcv = 100 * wsd / mean(m),
       rc_absolute_ci = z * sqrt(2) * wsd * q)
}
balanced <- as.matrix(read.csv("balanced.csv"))
do.call(put, c(list("balanced"), icc(balanced), rc(balanced)))
relative <- balanced / rowMeans(balanced)
long <- data.frame(y = as.vector(relative), s = factor(row(relative)), r = factor(col(relative)))
put("balanced", bias_removed_wcv = 100 * summary(lm(y ~ s + r, long))$sigma)
do.call(put, c(list("unbalanced"), rc(as.matrix(read.csv("unbalanced.csv")))))

g <- read.csv("grouped.csv"); groups <- split(g$value, factor(g$group, unique(g$group)))
kw <- kruskal.test(groups); n <- nrow(g); k <- length(groups); h <- unname(kw$statistic)
put("grouped", H = h, p = kw$p.value, epsilon_squared = h / (n - 1), eta_squared_h = (h - k + 1) / (n - k))
ranks <- split(rank(g$value), factor(g$group, unique(g$group)))
ties <- sum(table(g$value)^3 - table(g$value)); pairs <- combn(names(groups), 2)
statistic <- apply(pairs, 2, function(ab) (mean(ranks[[ab[1]]]) - mean(ranks[[ab[2]]])) /
  sqrt((n * (n + 1) / 12 - ties / (12 * (n - 1))) * (1 / length(ranks[[ab[1]]]) + 1 / length(ranks[[ab[2]]]))))
p <- 2 * pnorm(-abs(statistic))
mw <- apply(pairs, 2, function(ab) unlist(suppressWarnings(
  wilcox.test(groups[[ab[1]]], groups[[ab[2]]], exact = FALSE, correct = FALSE))[c("statistic", "p.value")]))
shift <- apply(pairs, 2, function(ab) median(outer(groups[[ab[1]]], groups[[ab[2]]], "-")))
put("dunn", z = statistic, p = p, holm = p.adjust(p, "holm"), bonferroni = p.adjust(p, "bonferroni"), bh = p.adjust(p, "BH"),
    u = mw[1, ], p_mw = mw[2, ], hl_shift = shift)
write.csv(found, "expected.csv", row.names = FALSE, quote = FALSE)
