mod json_test_suite; // every case of JSONTestSuite
mod reference; // random documents against a slow reference
