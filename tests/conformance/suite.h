/* The groups of the conformance suite; each returns the number of tests that failed. */
#ifndef TESTS_CONFORMANCE_SUITE_H
#define TESTS_CONFORMANCE_SUITE_H

int run_seam_tests(void);
int run_reserve_tests(void);
int run_release_tests(void);
int run_lifecycle_tests(void);
int run_catalog_tests(void);
int run_asynchronous_tests(void);

#endif
