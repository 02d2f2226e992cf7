"""The checks behind `smbport.testing.kit`, one module for each part of the contract."""
