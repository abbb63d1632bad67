"""What an older opset cannot say, said as it could."""
